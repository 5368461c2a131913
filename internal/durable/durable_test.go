package durable_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/layerfs/layerfs/internal/durable"
)

// record collects the steps that f reaches; at the step fail it gives errFail.
func record(f func() error, fail string) (steps []string, err error) {
	undo := durable.Intercept(func(step string) error {
		steps = append(steps, step)
		if step == fail {
			return errFail
		}
		return nil
	})
	defer undo()
	return steps, f()
}

var errFail = errors.New("the test wants it so")

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	staged, path := filepath.Join(dir, "staged"), filepath.Join(dir, "file")
	write := func(data string) func() error {
		return func() error { return durable.WriteFile("op", staged, path, []byte(data), 0o600) }
	}
	want := func(data string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || string(got) != data {
			t.Errorf("file: %q, %v; want %q", got, err, data)
		}
	}
	all := []string{"op.staged", "op.renamed", "op.durable"}
	if steps, err := record(write("one"), ""); err != nil || !slices.Equal(steps, all) {
		t.Errorf("steps %v, %v", steps, err)
	}
	want("one")
	// The commit point is the rename: what comes before leaves the old file, what comes after the new one.
	for i, after := range []string{"one", "three", "four"} {
		data := []string{"two", "three", "four"}[i]
		if steps, err := record(write(data), all[i]); !errors.Is(err, errFail) || len(steps) != i+1 {
			t.Errorf("fail at %s: %v, %v", all[i], steps, err)
		}
		want(after)
		_ = os.Remove(staged)
	}
	if _, err := os.Stat(staged); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("staged file: %v", err)
	}
	// What is in the staging place belongs to somebody else.
	if err := os.WriteFile(staged, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := write("five")(); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a staged file: %v", err)
	}
	want("four")
}

func TestRenameRefusesFullDirectory(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := errors.Join(os.MkdirAll(filepath.Join(a, "x"), 0o700), os.MkdirAll(filepath.Join(b, "y"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if steps, err := record(func() error { return durable.Rename("op", a, b) }, ""); err == nil || len(steps) != 0 {
		t.Errorf("rename over a full directory: %v, %v", steps, err)
	}
}

func TestRemove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	remove := func() error { return durable.Remove("op", path) }
	if steps, err := record(remove, ""); err != nil || !slices.Equal(steps, []string{"op.removed", "op.durable"}) {
		t.Errorf("%v, %v", steps, err)
	}
	if _, err := record(remove, ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("again: %v", err)
	}
}

func TestSyncDirs(t *testing.T) {
	dir := t.TempDir()
	few, many := []string{dir, dir}, slices.Repeat([]string{dir}, 100)
	for _, dirs := range [][]string{nil, few, many} {
		if err := durable.SyncDirs(dirs); err != nil {
			t.Errorf("%d directories: %v", len(dirs), err)
		}
	}
	none := filepath.Join(dir, "none")
	if err := durable.SyncDirs([]string{none}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
}
