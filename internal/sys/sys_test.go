package sys_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/internal/sys"
)

func TestRemoveAll(t *testing.T) {
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	outside := filepath.Join(dir, "outside")
	if err := errors.Join(
		os.MkdirAll(filepath.Join(tree, "closed", "inner"), 0o755),
		os.WriteFile(outside, []byte("x"), 0o600),
		os.WriteFile(filepath.Join(tree, "closed", "inner", "f"), nil, 0),
		os.Symlink(outside, filepath.Join(tree, "link")),
		os.Symlink(dir, filepath.Join(tree, "dirlink")),
		os.Chmod(filepath.Join(tree, "closed", "inner"), 0),
		os.Chmod(filepath.Join(tree, "closed"), 0o111),
		os.Chmod(tree, 0),
	); err != nil {
		t.Fatal(err)
	}
	if err := sys.RemoveAll(tree); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "outside" {
		t.Errorf("left: %v, %v", left, err)
	}
	for range 2 {
		if err := sys.RemoveAll(outside); err != nil {
			t.Errorf("a file, and nothing: %v", err)
		}
	}
}

// A tree that no path can name as a whole, and a directory of more names than one read gives.
func TestRemoveAllLarge(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		if err := unix.Mknod(filepath.Join(dir, "file-"+strings.Repeat("x", i%200)+string(rune('a'+i/200))), unix.S_IFREG|0o600, 0); err != nil {
			t.Fatal(err)
		}
	}
	at, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("d", 250)
	for range 30 { // 7,500 bytes, PATH_MAX is 4,096
		if err := unix.Mkdirat(at, name, 0o700); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(at, name, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err := errors.Join(err, unix.Close(at)); err != nil {
			t.Fatal(err)
		}
		at = next
	}
	if err := unix.Close(at); err != nil {
		t.Fatal(err)
	}
	if err := sys.RemoveAll(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}

func TestExchange(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := errors.Join(os.WriteFile(a, []byte("A"), 0o600), os.Mkdir(b, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := sys.Exchange(a, b); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(b); err != nil || string(got) != "A" {
		t.Errorf("b: %q, %v", got, err)
	}
	if err := sys.Exchange(a, filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("with nothing: %v", err)
	}
}

func TestSameFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := func(want bool) {
		t.Helper()
		if got, err := sys.SameFile(f, path); err != nil || got != want {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
	want(true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	want(false)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want(false)
}
