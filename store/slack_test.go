package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/layerfs/layerfs/store"
)

// lump is a content of n bytes that no other name has.
func lump(name string, n int) string {
	return strings.Repeat(fmt.Sprintf("%x", sha256.Sum256([]byte(name))), n/64+1)[:n]
}

// layerOf makes a layer of files called as their contents' beginning.
func layerOf(contents ...string) []byte {
	var all []string
	for i, c := range contents {
		all = append(all, fmt.Sprintf("f%d=%s", i, c))
	}
	return layerTar(all...)
}

// withSlack registers a layer that nothing names, and one that is named and has some of its contents: dead and kept are in
// one pack.
func withSlack(t *testing.T, s *store.Store, dead, kept []string) (id store.Chain, tar []byte) {
	t.Helper()
	register(t, s, "", layerOf(slices.Concat(dead, kept)...))
	tar = layerOf(kept...)
	id = register(t, s, "", tar)
	image(t, s, "kept:"+id.ID.Encoded()[:8], id.ID)
	return id, tar
}

// disk is how many bytes the files take that a collection's report counts.
func disk(t *testing.T, s *store.Store) (n int64) {
	t.Helper()
	for path := range files(t, s) {
		fi, err := os.Stat(filepath.Join(s.Root(), path))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(path, "chains/") {
			n += fi.Size()
		}
	}
	return n
}

func packs(t *testing.T, s *store.Store) (paths []string) {
	t.Helper()
	for path := range files(t, s) {
		if strings.HasPrefix(path, "packs/") {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// When a pack with slack is copied and when not, and that the report says what the disk gets back.
func TestSlack(t *testing.T) {
	big := func(n int, of string) (all []string) {
		for i := range n {
			all = append(all, lump(fmt.Sprint(of, i), 200_000))
		}
		return all
	}
	for name, tc := range map[string]struct {
		dead, kept []string
		copied     bool
	}{
		"only slack":                {big(3, "dead"), nil, false},
		"much of a large pack":      {big(2, "dead"), big(10, "kept"), true},
		"little of a large pack":    {[]string{"dead", lump("dead", 100_000)}, big(10, "kept"), false},
		"little of a small pack":    {[]string{"dead"}, big(4, "kept"), true},
		"no slack in a small pack":  {nil, big(2, "kept"), false},
		"slack and a large content": {[]string{"dead", lump("dead", 300_000)}, append(big(1, "kept"), large), true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			chain, tar := withSlack(t, s, tc.dead, tc.kept)
			had, before := packs(t, s), disk(t, s)
			dry, err := s.GC(store.GCOptions{DryRun: true})
			if err != nil {
				t.Fatal(err)
			}
			rep, err := s.GC(store.GCOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := before - disk(t, s); rep.Bytes != got || dry.Bytes != got || dry.Contents != rep.Contents {
				t.Errorf("the disk got back %d bytes; gc says %d and %d contents, the dry run %d and %d",
					got, rep.Bytes, rep.Contents, dry.Bytes, dry.Contents)
			}
			in := pooled(t, s)
			gone := 0
			for _, c := range tc.dead {
				if len(in[digestOf([]byte(c)).Encoded()]) == 0 {
					gone++
				}
			}
			if rep.Contents != gone {
				t.Errorf("gc says %d contents are gone, and %d are", rep.Contents, gone)
			}
			have := packs(t, s)
			switch {
			case tc.copied && (len(have) != 1 || have[0] == had[0] || gone != len(tc.dead)):
				t.Errorf("packs are %v, were %v, %d of %d dead contents are gone; want it copied", have, had, gone, len(tc.dead))
			case !tc.copied && len(tc.kept) > 0 && !slices.Equal(have, had):
				t.Errorf("packs are %v, were %v; want them left alone", have, had)
			}
			if len(tc.kept) > 0 {
				wantTar(t, s, chain.ID, tar)
			} else if len(have) != 0 && len(tc.dead) > 0 && gone != len(tc.dead) {
				t.Errorf("left: %v", have)
			}
			settled := files(t, s)
			if rep, err := s.GC(store.GCOptions{}); err != nil || rep.Bytes != 0 || !maps.Equal(files(t, s), settled) {
				t.Errorf("a second collection finds something to do: %+v, %v", rep, err)
			}
		})
	}
}

// More than 32 packs are too many: small ones become one; large ones stay.
func TestManyPacksBecomeOne(t *testing.T) {
	s := newStore(t)
	var chunks []string
	for i := range 45 {
		chunks = append(chunks, lump(fmt.Sprint("chunk", i), 200_000))
	}
	tars := map[string][]byte{"big": layerOf(chunks...)} // 9 MB
	for i := range 32 {
		tars[fmt.Sprint("small", i)] = layerOf(fmt.Sprint("content ", i), "shared")
	}
	ids := map[string]store.Chain{}
	for n, name := range slices.Sorted(maps.Keys(tars)) {
		if n == 32 {
			before := packs(t, s)
			collect(t, s)
			if after := packs(t, s); len(before) != 32 || !slices.Equal(before, after) {
				t.Errorf("%d packs are now %d; want 32 left alone", len(before), len(after))
			}
		}
		ids[name] = register(t, s, "", tars[name])
		image(t, s, name+":1", ids[name].ID)
	}
	bigPack := packOf(t, s, chunks[0])
	rep, err := s.GC(store.GCOptions{})
	if err != nil || rep.Contents != 0 {
		t.Errorf("gc: %+v, %v", rep, err)
	}
	if n := len(packs(t, s)); n != 2 || packOf(t, s, chunks[0]) != bigPack {
		t.Errorf("%d packs are left; want the large one and one of all others", n)
	}
	for name, tar := range tars {
		wantTar(t, s, ids[name].ID, tar)
	}
	settled := files(t, s)
	if _, err := s.GC(store.GCOptions{}); err != nil || !maps.Equal(files(t, s), settled) {
		t.Errorf("a second collection finds something to do: %v", err)
	}
}

// What several layers bring at the same time is there once for each that may have needed it, and once after a collection.
func TestSameContentsAtOnce(t *testing.T) {
	s := newStore(t)
	var common []string
	for i := range 50 {
		common = append(common, fmt.Sprint("common ", i))
	}
	var all sync.WaitGroup
	tars := map[int][]byte{}
	for i := range 6 {
		tar := layerOf(append(slices.Clone(common), fmt.Sprint("own ", i))...)
		tars[i] = tar
		all.Go(func() {
			release, err := s.Use()
			if err != nil {
				t.Error(err)
				return
			}
			defer release()
			c, err := s.Register(context.Background(), "", bytes.NewReader(tar), store.UnpackOptions{})
			if err == nil {
				_, err = putImage(s, fmt.Sprintf("i:%d", i), c.ID)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	u, err := s.Usage()
	if err != nil || u.Contents != 56 {
		t.Errorf("%d contents, %v; there are 56", u.Contents, err)
	}
	for range 2 {
		for i, tar := range tars {
			wantTar(t, s, store.ChainID("", digestOf(tars[i])), tar)
		}
		if ps := problems(t, s); len(ps) > 0 {
			t.Error(ps)
		}
		collect(t, s)
	}
	in := pooled(t, s)
	for sum, paths := range in {
		if len(paths) != 1 {
			t.Errorf("content %s is in %v", sum, paths)
		}
	}
	if len(in) != 56 {
		t.Errorf("%d contents", len(in))
	}
}

// A disk without room for a copy: the collection frees what it can, and the rest when there is room.
func TestGCFullDisk(t *testing.T) {
	s := openStore(t, filepath.Join(smallDisk(t, 4<<20), "store"))
	kept := []string{lump("a", 250_000), lump("b", 250_000), lump("c", 250_000), lump("d", 250_000)}
	c, tar := withSlack(t, s, []string{lump("x", 250_000)}, kept)
	other := register(t, s, "", layerOf(lump("y", 1000)))
	image(t, s, "other:1", other.ID)
	filler := filepath.Join(s.Root(), "..", "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil { // until the disk is full
		_, err = f.Write(make([]byte, 4096))
	}
	fi, err := f.Stat()
	if err == nil { // room for records, and not for a pack
		err = errors.Join(f.Truncate(fi.Size()-100_000), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	had := packOf(t, s, kept[0])
	if _, err := s.RemoveImage("other:1"); err != nil {
		t.Errorf("rmi on a full disk: %v", err)
	}
	if _, err := s.GC(store.GCOptions{}); err != nil {
		t.Errorf("gc on a full disk: %v", err)
	}
	if got := packs(t, s); !slices.Equal(got, []string{"packs/" + filepath.Base(had)}) {
		t.Errorf("packs: %v; want only the one that could not be copied", got)
	}
	wantNoLitter(t, s)
	wantTar(t, s, c.ID, tar)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	collect(t, s)
	if packOf(t, s, kept[0]) == had {
		t.Error("with room for it the pack is not copied")
	}
	wantTar(t, s, c.ID, tar)
	wantClean(t, s)
}
