package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/layerfs/layerfs/fusefs"
	"github.com/layerfs/layerfs/image"
	"github.com/layerfs/layerfs/internal/daemon"
	"github.com/layerfs/layerfs/store"
	"github.com/layerfs/layerfs/tarindex"
)

// layerfs runs one command line against a store in dir.
func layerfs(t *testing.T, dir string, args ...string) (code int, out, errs string) {
	t.Helper()
	t.Setenv("LAYERFS_ROOT", dir)
	var o, e bytes.Buffer
	code = run(context.Background(), args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// The codes are those of docs/cli.md, on which scripts rely.
func TestExitCodes(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("some object: %w", err) }
	for _, test := range []struct {
		err  error
		code int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{wrap(syscall.ENOSPC), 1},
		{wrap(syscall.EDQUOT), 1},
		{wrap(store.ErrFormat), 1},
		{wrap(context.Canceled), 1},
		{wrap(image.ErrMediaType), 1},
		{usageError{"x"}, 2},
		{wrap(store.ErrName), 2},
		{wrap(store.ErrAmbiguous), 2},
		{wrap(fusefs.ErrOption), 2},
		{wrap(image.ErrName), 2},
		{wrap(store.ErrNotFound), 3},
		{wrap(image.ErrPlatform), 3},
		{wrap(fusefs.ErrNotMounted), 3},
		{fileError{wrap(fs.ErrNotExist)}, 3},
		{fileError{wrap(fs.ErrPermission)}, 1},
		{wrap(store.ErrExists), 4},
		{wrap(store.ErrInUse), 4},
		{wrap(fusefs.ErrBusy), 4},
		{wrap(fusefs.ErrMounted), 4},
		{wrap(store.ErrCorrupt), 5},
		{wrap(store.ErrDigest), 5},
		{wrap(tarindex.ErrNotTar), 5},
		{wrap(tarindex.ErrTruncated), 5},
		{wrap(image.ErrDigest), 5},
		{wrap(&daemon.Failure{Code: 4, Text: "what the mount process said"}), 4},
	} {
		var said strings.Builder
		if code := report(&said, test.err); code != test.code {
			t.Errorf("%v: exit code %d, want %d", test.err, code, test.code)
		}
		if test.err != nil && !strings.Contains(said.String(), test.err.Error()) {
			t.Errorf("%v: said only %q", test.err, said.String())
		}
	}
}

func TestUsageErrors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	for _, args := range [][]string{
		{"improt"},
		{"import"},
		{"import", "a", "b"},
		{"mount", "only-target"},
		{"images", "--no-such-flag"},
		{"images", "-q", "--json"},
		{"completion", "tcsh"},
		{"register", "--expect", "nonsense", "-"},
		{"gc", "now"},
	} {
		code, out, errs := layerfs(t, dir, args...)
		if code != exitUsage || out != "" || !strings.Contains(errs, "layerfs") {
			t.Errorf("%v: code %d, stdout %q, stderr %q", args, code, out, errs)
		}
	}
}

// commands lists every command that a user can see.
func commands(t *testing.T) []*cobra.Command {
	t.Helper()
	var visible []*cobra.Command
	for _, cmd := range newRoot(&app{out: io.Discard, err: io.Discard}).Commands() {
		if cmd.IsAvailableCommand() && cmd.Name() != "help" {
			visible = append(visible, cmd)
		}
	}
	if len(visible) < 20 {
		t.Fatalf("only %d commands", len(visible))
	}
	return visible
}

func TestEveryCommandHasAnExample(t *testing.T) {
	for _, cmd := range commands(t) {
		if !strings.Contains(cmd.Example, "layerfs "+cmd.Name()) {
			t.Errorf("%s: its example does not show it", cmd.Name())
		}
		if cmd.Short == "" {
			t.Errorf("%s: not described", cmd.Name())
		}
	}
}

// The manual is written by hand; this keeps it complete.
func TestManualIsComplete(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, section := range strings.Split(string(text), "\n### ")[1:] {
		heading, body, _ := strings.Cut(section, "\n")
		sections[heading] = body
	}
	for _, cmd := range commands(t) {
		body, ok := sections[cmd.Name()]
		if !ok {
			t.Errorf("docs/cli.md has no section %s", cmd.Name())
			continue
		}
		delete(sections, cmd.Name())
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !strings.Contains(body, "--"+f.Name) && !strings.Contains(body, "`-"+f.Shorthand) {
				t.Errorf("docs/cli.md, %s: --%s is missing", cmd.Name(), f.Name)
			}
		})
	}
	for name := range sections {
		t.Errorf("docs/cli.md describes %s, which is no command", name)
	}
}

func TestEmptyListsAreJSONLists(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	for _, cmd := range []string{"images", "layers", "ps", "check"} {
		code, out, errs := layerfs(t, dir, cmd, "--json")
		var items []any
		if err := json.Unmarshal([]byte(out), &items); code != 0 || err != nil || items == nil {
			t.Errorf("%s --json: code %d, %q %q (%v)", cmd, code, out, errs, err)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 9_949: "9.9 kB", 9_951: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB",
		5_600_000: "5.6 MB", 123_456_789_012: "123 GB", 1 << 62: "4.6 EB",
	} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for path, want := range map[string]string{
		"/plain path/ä": "/plain path/ä",
		"/new\nline":    `"/new\nline"`,
		"/esc\x1b[31m":  `"/esc\x1b[31m"`,
		"/quo\"te":      `"/quo\"te"`,
		"/not\xffutf8":  `"/not\xffutf8"`,
	} {
		if got := printable(path); got != want {
			t.Errorf("printable(%q) = %s, want %s", path, got, want)
		}
	}
}

func TestOutputIsWholeOrNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.tar")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &app{out: io.Discard, err: io.Discard}
	broken := errors.New("half-way")
	err := a.output(nil, path, func(w io.Writer) error { _, _ = w.Write([]byte("half")); return broken })
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "old" {
		t.Errorf("the old file became %q", data)
	}
	if err := a.output(nil, path, func(w io.Writer) error { _, err := w.Write([]byte("new")); return err }); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(path); string(data) != "new" {
		t.Errorf("the new file is %q", data)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// A damaged archive, given in every way, leaves nothing behind.
func TestBadInputLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, bytes.Repeat([]byte("no tar at all\n"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []string{"import", "register"} {
		if code, _, errs := layerfs(t, dir, cmd, bad); code != exitCorrupt || !strings.Contains(errs, bad) {
			t.Errorf("%s: code %d, %q", cmd, code, errs)
		}
		if code, _, errs := layerfs(t, dir, cmd, bad+"-none"); code != exitNotFound || !strings.Contains(errs, bad+"-none") {
			t.Errorf("%s of nothing: code %d, %q", cmd, code, errs)
		}
	}
	for _, sub := range []string{"staging", "trash", "layers/sha256", "chains/sha256", "images"} {
		if entries, err := os.ReadDir(filepath.Join(dir, sub)); err != nil || len(entries) != 0 {
			t.Errorf("%s: %v (%v)", sub, entries, err)
		}
	}
}
