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
	for _, d := range []string{"content", "layers", "blobs", "chains"} {
		dirs = append(dirs, filepath.Join(s.Root(), d))
	}
	return strings.Split(string(run(t, nil, "find", append(dirs, "-type", "f", "-printf", "%i %s %p\n")...)), "\n")
}

// TestImportRepairs: a damaged layer is put right by importing its image again.
func TestImportRepairs(t *testing.T) {
	f := newFixture(t)
	s := newStore(t)
	dir := f.oci(t, "gzip", "+gzip")
	if _, err := Import(t.Context(), s, dir, Options{}); err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(filepath.Join(s.Root(), "content/*/*"))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, damage := range []func(path string) error{
		os.Remove,
		func(path string) error { return errors.Join(os.Chmod(path, 0o600), os.Truncate(path, 1)) },
	} {
		for _, path := range all {
			if fi, err := os.Stat(path); err == nil && fi.Size() > 1 {
				if err := damage(path); err != nil {
					t.Fatal(err)
				}
			}
		}
		images, err := Import(t.Context(), s, dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		f.checkImage(t, s, images[0])
	}
}
