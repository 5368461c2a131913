package store_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/layerfs/layerfs/internal/pack"
	"github.com/layerfs/layerfs/store"
)

// A pack that cannot be read stops a collection while something may need it, and goes when nothing does.
func TestGCDamagedPack(t *testing.T) {
	s := openStore(t, filepath.Join(tempDir(t), "store"))
	tar := layerOf("one", "two")
	c := register(t, s, "", tar)
	image(t, s, "x:1", c.ID)
	register(t, s, "", layerOf("garbage"))
	path := packOf(t, s, "one")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := truncate(path, 50); err != nil {
		t.Fatal(err)
	}
	before := files(t, s)
	if _, err := s.GC(store.GCOptions{}); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), path) {
		t.Errorf("gc: %v; want one that names %s", err, path)
	}
	if got := files(t, s); !maps.Equal(got, before) {
		t.Errorf("a collection that failed has made of\n%v\nthis:\n%v", before, got)
	}
	// The same contents from elsewhere, in other packs.
	register(t, s, "", layerOf("two", "one", "three"))
	if _, err := s.GC(store.GCOptions{}); err != nil {
		t.Error(err)
	}
	if exists(s, "packs/"+filepath.Base(path)) {
		t.Error("a damaged pack that nothing needs is still there")
	}
	wantTar(t, s, c.ID, tar)
	wantClean(t, s)

	// One that is not what its name says is damaged, too.
	wrong := "packs/" + strings.Repeat("ab", 32)
	if err := os.WriteFile(filepath.Join(s.Root(), wrong), whole, 0o400); err != nil {
		t.Fatal(err)
	}
	if ps := problems(t, s); len(ps) != 1 || ps[0].Kind != "pack" || ps[0].ID != filepath.Base(wrong) {
		t.Errorf("check: %v", ps)
	}
	collect(t, s)
	wantClean(t, s)
}

// A damaged content is not copied into a new pack as if it were whole: the collection fails and removes nothing.
func TestRepackVerifies(t *testing.T) {
	s := openStore(t, filepath.Join(tempDir(t), "store"))
	withSlack(t, s, []string{"dead"}, []string{"kept one", "kept two"})
	path := packOf(t, s, "kept two")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := flip(path, bytes.Index(b, []byte("kept two"))); err != nil {
		t.Fatal(err)
	}
	before := files(t, s)
	sum := digestOf([]byte("kept two")).Encoded()
	for range 2 {
		_, err := s.GC(store.GCOptions{})
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), sum) {
			t.Errorf("gc: %v; want one that names %s in %s", err, sum, path)
		}
		if got := files(t, s); !maps.Equal(got, before) {
			t.Errorf("a collection that failed has made of\n%v\nthis:\n%v", before, got)
		}
		wantNoLitter(t, s)
	}
}

// Contents that lie over each other are found, though each may be right.
func TestCheckOverlap(t *testing.T) {
	s := openStore(t, filepath.Join(tempDir(t), "store"))
	path := filepath.Join(tempDir(t), "pack")
	w, err := pack.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{"abc", "bcd"} {
		if err := w.Append(sha256.Sum256([]byte(c)), []byte(c)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	// The second content is moved one byte into the first: "abcd", and the table sealed again.
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(b[16:], "abcdcd")
	table, foot := b[22:22+96], b[22+96:]
	for e := table; len(e) > 0; e = e[48:] {
		if e[32] == 19 { // the offset of the second
			e[32] = 17
		}
	}
	sum := sha256.Sum256(slices.Concat(table, foot[:24]))
	copy(foot[24:], sum[:])
	name := fmt.Sprintf("%x", sum)
	if err := os.WriteFile(filepath.Join(s.Root(), "packs", name), b, 0o400); err != nil {
		t.Fatal(err)
	}
	if ps := problems(t, s); len(ps) != 1 || ps[0].Kind != "pack" || ps[0].ID != name {
		t.Errorf("check: %v", ps)
	}
}
