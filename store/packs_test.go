package store_test

import (
	"bytes"
	"context"
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

	"github.com/layerfs/layerfs/internal/pack"
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
