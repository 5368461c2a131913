package image

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/layerfs/layerfs/store"
)

// TestImportAgain: nothing is read or written twice, also by several imports at once.
func TestImportAgain(t *testing.T) {
	f := newFixture(t)
	s := newStore(t)
	dir := f.oci(t, "gzip", "+gzip")
	done := make(chan error)
	for range 4 {
		go func() {
			_, err := Import(context.Background(), s, dir, Options{})
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	before := tree(t, s)
	images, err := Import(t.Context(), s, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f.checkImage(t, s, images[0])
	if after := tree(t, s); !slices.Equal(before, after) {
		t.Errorf("the second import changed\n%s\nto\n%s", before, after)
	}
	noStaging(t, s)
}

// tree lists the immutable part of a store with inode numbers.
func tree(t *testing.T, s *store.Store) []string {
	t.Helper()
	var dirs []string
	for _, d := range []string{"content", "packs", "layers", "blobs", "chains"} {
		dirs = append(dirs, filepath.Join(s.Root(), d))
	}
	return strings.Split(string(run(t, nil, "find", append(dirs, "-type", "f", "-printf", "%i %s %p\n")...)), "\n")
}

// TestImportRepairs: a damaged layer is put right by importing its image again.
func TestImportRepairs(t *testing.T) {
	f := fixtureOf(t, "amd64",
		map[string]string{"etc/os-release": "ID=test\n", "lib/large": strings.Repeat("large", 60_000)},
		map[string]string{"etc/os-release": "ID=test\nVERSION=2\n", "usr/share/doc/a": "a"})
	s := newStore(t)
	dir := f.oci(t, "gzip", "+gzip")
	if _, err := Import(t.Context(), s, dir, Options{}); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(path string) error{
		"missing": os.Remove,
		"cut off": func(path string) error { return errors.Join(os.Chmod(path, 0o600), os.Truncate(path, 1)) },
		"table": func(path string) error { // the last byte of the packs' tables
			b, err := os.ReadFile(path)
			if err != nil || !strings.Contains(path, "/packs/") {
				return err
			}
			b[len(b)-65] ^= 1
			return errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, b, 0o600))
		},
	} {
		var all []string
		for _, of := range []string{"content/*/*", "packs/*"} {
			paths, err := filepath.Glob(filepath.Join(s.Root(), of))
			if err != nil || len(paths) == 0 {
				t.Fatal(of, paths, err)
			}
			all = append(all, paths...)
		}
		for _, path := range all {
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
		}
		again, err := store.Open(s.Root(), store.Options{}) // as another command would
		if err != nil {
			t.Fatal(err)
		}
		images, err := Import(t.Context(), again, dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		f.checkImage(t, again, images[0])
		if _, err := again.GC(store.GCOptions{}); err != nil {
			t.Errorf("%s: gc: %v", name, err)
		}
		err = again.Check(t.Context(), nil, func(p store.Problem) { t.Errorf("%s: %v", name, p) })
		if err := errors.Join(err, again.Close()); err != nil {
			t.Error(err)
		}
	}
}
