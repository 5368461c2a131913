package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A box is one test's own store, home and working folder, and everything that it
// starts. Whatever the test does, nothing of it is left at the end.
type box struct {
	t     *testing.T
	dir   string // working folder of every command
	store string // $LAYERFS_ROOT
	tag   string // in the environment of every process started
	env   []string
}

var boxes atomic.Int64

// newBox makes a box. At the end of the test it ends every process that is left
// over, which fails the test, takes all mounts down and removes all files.
func newBox(t *testing.T) *box {
	t.Helper()
	dir := filepath.Join(world.tmp, fmt.Sprintf("b%03d", boxes.Add(1)))
	b := &box{t: t, dir: dir}
	b.outfit(filepath.Join(dir, "store"))
	for _, d := range []string{dir, filepath.Join(dir, "home"), filepath.Join(dir, "tmp")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(b.clear)
	return b
}

// boxTag is in the environment of every process of the boxes at and below dir.
func boxTag(dir string) string { return "LAYERFS_E2E_BOX=" + dir + "/" }

// outfit sets the environment of the box's commands.
func (b *box) outfit(store string) {
	b.store = store
	b.tag = boxTag(b.dir)
	b.env = []string{
		"PATH=" + filepath.Join(world.base, "bin") + ":" + os.Getenv("PATH") + ":/usr/sbin:/sbin",
		"HOME=" + filepath.Join(b.dir, "home"),
		"TMPDIR=" + filepath.Join(b.dir, "tmp"),
		"USER=" + os.Getenv("USER"),
		"LANG=C.UTF-8",
		"TZ=UTC",
		"PYTHONDONTWRITEBYTECODE=1",
		"LAYERFS_ROOT=" + store,
		"FIX=" + world.fixtures,
		"IMAGES=" + world.images,
		"PY=" + world.py,
		b.tag,
	}
}

func (b *box) path(elem ...string) string {
	return filepath.Join(append([]string{b.dir}, elem...)...)
}

// clear ends what the box has started and removes its files.
func (b *box) clear() {
	left := processes(b.tag)
	for pid, name := range left {
		if !b.t.Failed() {
			b.t.Errorf("process %d (%s) is left behind", pid, name)
		}
		killAndWait(pid)
	}
	unmountBelow(b.dir)
	// A plain remove: a store must not need more than that.
	if err := os.RemoveAll(b.dir); err != nil {
		b.t.Errorf("remove the box: %v", err)
	}
}

// A result is what one command has answered.
type result struct {
	args     []string
	out, err string
	code     int // exit code; -1 = ended by a signal
}

func (r result) String() string {
	return fmt.Sprintf("%s\nexit code %d\nstdout: %s\nstderr: %s", strings.Join(r.args, " "), r.code, r.out, r.err)
}

// command prepares a command of this box; a layerfs command may not take longer than two minutes.
func (b *box) command(name string, args ...string) *exec.Cmd {
	if name == "layerfs" {
		name = world.bin
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = b.dir
	cmd.Env = b.env
	return cmd
}

func (b *box) exec(name string, args ...string) result {
	b.t.Helper()
	var out, errs bytes.Buffer
	cmd := b.command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	// A daemon that keeps our pipe open would hold Run for ever.
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		b.t.Fatalf("%s: %v", name, err)
	}
	guard := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	guard.Stop()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.String(), errs.String())
	}
	return result{append([]string{filepath.Base(name)}, args...), out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// layerfs runs the program; it must end with 0. It returns stdout without the last newline.
func (b *box) layerfs(args ...string) string {
	b.t.Helper()
	r := b.exec("layerfs", args...)
	if r.code != 0 {
		b.t.Fatalf("%v", r)
	}
	return strings.TrimSuffix(r.out, "\n")
}

// refused runs the program; it must end with this code and say all these words.
func (b *box) refused(code int, words []string, args ...string) {
	b.t.Helper()
	r := b.exec("layerfs", args...)
	if r.code != code {
		b.t.Errorf("want exit code %d: %v", code, r)
	}
	for _, w := range words {
		if !strings.Contains(r.err, w) {
			b.t.Errorf("stderr does not say %q: %v", w, r)
		}
	}
}

// prelude goes before every shell script: `fails COMMAND...` because set -e does not look at
// a command behind !, and `quiet COMMAND...` for one that must succeed and print nothing. For the
// same reason scripts do not join with && what must not fail.
const prelude = `set -eu
fails() { if "$@" 2> "$TMPDIR/fails"; then echo "should have failed: $*" >&2; exit 1; fi; }
quiet() { said=$("$@"); if [ "$said" ]; then echo "$* says: $said" >&2; exit 1; fi; }
`

// sh runs a shell script that stops at its first error; it must end with 0.
func (b *box) sh(script string, args ...string) string {
	b.t.Helper()
	r := b.exec("sh", append([]string{"-c", prelude + script, "sh"}, args...)...)
	if r.code != 0 {
		b.t.Fatalf("exit code %d\nstdout: %s\nstderr: %s\nscript: %s", r.code, r.out, r.err, script)
	}
	return r.out
}

// py runs a program of testdata/py; it must end with 0.
func (b *box) py(program string, args ...string) string {
	b.t.Helper()
	r := b.exec("python3", append([]string{filepath.Join(world.py, program)}, args...)...)
	if r.code != 0 {
		b.t.Fatalf("%v", r)
	}
	return r.out
}

// mount mounts an image or chain on a new folder and returns the folder. A name
// that exists is resumed.
func (b *box) mount(name, ref string, options ...string) string {
	b.t.Helper()
	target := b.path("mnt-" + name)
	if err := os.Mkdir(target, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		b.t.Fatal(err)
	}
	args := append([]string{"mount", "--name", name}, options...)
	if got := b.layerfs(append(args, ref, target)...); got != name {
		b.t.Fatalf("mount printed %q, not the name %q", got, name)
	}
	if !mounted(target) {
		b.t.Fatalf("mount has returned and %s is not mounted", target)
	}
	return target
}

// umount unmounts; the mount and its process must be gone when it returns.
func (b *box) umount(name string) {
	b.t.Helper()
	b.layerfs("umount", name)
	if target := b.path("mnt-" + name); mounted(target) {
		b.t.Fatalf("umount has returned and %s is still mounted", target)
	}
}

// healthy asks for the store to be whole and for nothing half done in it.
func (b *box) healthy() {
	b.t.Helper()
	if r := b.exec("layerfs", "check"); r.code != 0 {
		b.t.Errorf("the store is not clean: %v", r)
	}
	b.tidy()
}

// tidy asks for empty staging and trash folders.
func (b *box) tidy() {
	b.t.Helper()
	for _, dir := range []string{"staging", "trash"} {
		entries, err := os.ReadDir(filepath.Join(b.store, dir))
		if err != nil {
			b.t.Errorf("read the store's %s: %v", dir, err)
		}
		for _, e := range entries {
			b.t.Errorf("left in the store: %s/%s", dir, e.Name())
		}
	}
}

// need skips a test whose outside tools are not on this machine.
func need(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if !installed(tool) {
			t.Skipf("needs %s, which is not installed", tool)
		}
	}
}

func installed(tool string) bool {
	_, err := exec.LookPath(tool)
	return err == nil
}
