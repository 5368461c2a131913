package store_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/layerfs/layerfs/store"
)

// A process that reads for long, as a mount does, goes on while collections replace the packs under it.
func TestReadsBesideGC(t *testing.T) {
	s := newStore(t)
	kept := map[string][]byte{}
	for i := range 40 {
		data := []byte(fmt.Sprint("kept ", i, strings.Repeat("x", i*100)))
		kept[digestOf(data).Encoded()] = data
	}
	var dead, keep []string
	for i := range 40 {
		dead = append(dead, fmt.Sprint("dead ", i))
	}
	for _, sum := range slices.Sorted(maps.Keys(kept)) {
		keep = append(keep, string(kept[sum]))
	}
	withSlack(t, s, dead, keep)
	held, off, err := s.OpenContent(sha256.Sum256([]byte(keep[0])), int64(len(keep[0])))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()

	stop := make(chan struct{})
	var readers sync.WaitGroup
	for _, reader := range []*store.Store{s, openStore(t, s.Root()), openStore(t, s.Root())} {
		readers.Go(func() {
			defer reader.Close()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				want := keep[n%len(keep)]
				f, off, err := reader.OpenContent(sha256.Sum256([]byte(want)), int64(len(want)))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(io.NewSectionReader(f, off, int64(len(want))))
				if f.Close(); err != nil || string(got) != want {
					t.Errorf("%q, %v; want %q", got, err, want)
					return
				}
			}
		})
	}
	seen := map[string]bool{packOf(t, s, keep[0]): true}
	writer := openStore(t, s.Root())
	collect(t, writer)
	for i := range 33 {
		image(t, writer, fmt.Sprintf("more:%d", i), register(t, writer, "", layerOf(fmt.Sprint("more ", i))).ID)
	}
	collect(t, writer) // all in one pack
	for i := range 10 {
		seen[packOf(t, s, keep[0])] = true
		if _, err := writer.RemoveImage(fmt.Sprintf("more:%d", i)); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	readers.Wait()
	if len(seen) != 11 {
		t.Errorf("the pack was replaced %d times; want 10", len(seen)-1)
	}
	got, err := io.ReadAll(io.NewSectionReader(held, off, int64(len(keep[0]))))
	if err != nil || string(got) != keep[0] {
		t.Errorf("what was opened before: %q, %v", got, err)
	}
	if err := writer.Close(); err != nil {
		t.Error(err)
	}
}

// A store from before there were packs: everything works, and what is imported again moves into packs.
func TestStoreWithoutPacks(t *testing.T) {
	s := newStore(t)
	tar := layerOf("one", "two", large)
	c := register(t, s, "", tar)
	image(t, s, "x:1", c.ID)
	for _, data := range []string{"one", "two"} {
		path := contentFile(s, data)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(data), 0o400)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(s.Root(), "packs")); err != nil {
		t.Fatal(err)
	}
	old := openStore(t, s.Root())
	for _, p := range problems(t, old) {
		t.Error(p)
	}
	wantTar(t, old, c.ID, tar)
	if err := old.Whole(c.DiffID); err != nil {
		t.Error(err)
	}
	if u, err := old.Usage(); err != nil || u.Contents != 3 || u.Packs != 0 {
		t.Errorf("usage: %+v, %v", u, err)
	}
	settled := files(t, old)
	collect(t, old)
	if got := files(t, old); !maps.Equal(got, settled) {
		t.Errorf("a collection has made of\n%v\nthis:\n%v", settled, got)
	}
	f, off, err := old.OpenContent(sha256.Sum256([]byte("one")), 3)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 3)
	if _, err := f.ReadAt(got, off); err != nil || string(got) != "one" {
		t.Errorf("%q, %v", got, err)
	}
	f.Close()

	image(t, old, "y:1", register(t, old, "", layerOf("two", "three")).ID)
	wantTar(t, old, c.ID, tar)
	collect(t, old)
	packOf(t, old, "two") // and nowhere else
	packOf(t, old, "three")
	if in := pooled(t, old)[digestOf([]byte("one")).Encoded()]; len(in) != 1 || !strings.HasPrefix(in[0], "content/") {
		t.Errorf("what came in before is in %v", in)
	}
	wantTar(t, old, c.ID, tar)
	register(t, old, "", tar)
	collect(t, old)
	packOf(t, old, "one")
}

// Imports that fail, and reads, leave no file open.
func TestNoDescriptorIsLeft(t *testing.T) {
	s := newStore(t)
	tar := layerOf("one", lump("two", 3000), large)
	c := register(t, s, "", tar)
	image(t, s, "x:1", c.ID)
	open := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(fds)
	}
	before := 0
	for i := range 20 {
		if _, err := s.Register(t.Context(), "", bytes.NewReader(layerOf(lump("new", 2000), "more")[:3000]), store.UnpackOptions{}); err == nil {
			t.Fatal("a layer that is cut off was taken")
		}
		wantTar(t, s, c.ID, tar)
		f, _, err := s.OpenContent(sha256.Sum256([]byte("one")), 3)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		collect(t, s)
		if i == 0 {
			before = open()
		}
	}
	if after := open(); after > before+5 {
		t.Errorf("%d files open, then %d", before, after)
	}
}
