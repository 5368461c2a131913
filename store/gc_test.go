package store_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gofrs/flock"
	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/store"
	"github.com/layerfs/layerfs/tarindex"
)

func TestGC(t *testing.T) {
	s := newStore(t)
	keepTar := layerTar("a=one", "shared=x")
	keep := register(t, s, "", keepTar)
	image(t, s, "keep:1", keep.ID)
	lost := register(t, s, keep.ID, layerTar("shared=x", "lost=lost in a layer"))
	top := register(t, s, lost.ID, layerTar("top=top"))
	again := register(t, s, top.ID, keepTar) // a dead chain with a layer that lives
	x, err := s.MergedIndex(top.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if _, err := s.PutBlob([]byte("a config without an image")); err != nil {
		t.Fatal(err)
	}
	before := files(t, s)
	dry, err := s.GC(store.GCOptions{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(files(t, s), before) {
		t.Error("a dry run changed something")
	}
	rep, err := s.GC(store.GCOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(rep, dry) {
		t.Errorf("dry run says %+v, gc %+v", dry, rep)
	}
	var ids []digest.Digest
	for _, c := range rep.Chains {
		ids = append(ids, c.ID)
	}
	if !reflect.DeepEqual(ids, []digest.Digest{again.ID, top.ID, lost.ID}) {
		t.Errorf("chains removed: %v; want child first", ids)
	}
	if len(rep.Layers) != 2 || rep.Contents != 2 || rep.Merged != 1 || rep.Blobs != 1 || rep.Bytes < int64(len("lost in a layer")) {
		t.Errorf("report: %+v", rep)
	}
	for data, want := range map[string]bool{"one": true, "x": true, "lost in a layer": false, "top": false} {
		if n := len(pooled(t, s)[digestOf([]byte(data)).Encoded()]); (n == 1) != want || n > 1 {
			t.Errorf("content %q is there %d times, want it there: %v", data, n, want)
		}
	}
	wantTar(t, s, keep.ID, keepTar)
}

// What dead processes leave is removed, what live ones have is not.
func TestGCLitter(t *testing.T) {
	s := newStore(t)
	dir, remove, err := s.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	at := func(path string) string { return filepath.Join(s.Root(), path) }
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "spool"), []byte("work"), 0o600),
		os.MkdirAll(at("staging/no-lock/content"), 0o700),
		os.MkdirAll(at("staging/dead"), 0o700), os.WriteFile(at("staging/dead/lock"), nil, 0o600),
		os.WriteFile(at("staging/file"), nil, 0o600),
		os.MkdirAll(at("trash/cut-off/3/upper"), 0o700), os.Chmod(at("trash/cut-off/3/upper"), 0),
		os.MkdirAll(at("trash/alive"), 0o700),
	); err != nil {
		t.Fatal(err)
	}
	alive := flock.New(at("trash/alive/lock"))
	if ok, err := alive.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if rep, err := s.GC(store.GCOptions{DryRun: true}); err != nil || rep.Litter != 4 {
		t.Errorf("dry run: %+v, %v", rep, err)
	}
	if rep, err := s.GC(store.GCOptions{}); err != nil || rep.Litter != 4 {
		t.Errorf("gc: %+v, %v", rep, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "spool")); err != nil || string(b) != "work" {
		t.Errorf("gc took the work of a live process: %q, %v", b, err)
	}
	if _, err := os.Stat(at("trash/alive")); err != nil {
		t.Errorf("gc emptied the bin of a live process: %v", err)
	}
	remove()
	if err := alive.Close(); err != nil {
		t.Fatal(err)
	}
}

// If it is not known what something refers to, nothing is removed.
func TestGCRefusesDamage(t *testing.T) {
	for _, path := range []string{"rw/web/record", "images/*", "chains/sha256/*", "layers/sha256/*/index"} {
		t.Run(path, func(t *testing.T) {
			s := openStore(t, filepath.Join(tempDir(t), "store"))
			live := register(t, s, "", layerTar("a=one"))
			image(t, s, "x:1", live.ID)
			if _, err := s.CreateRW("web", live.ID, store.RWOptions{}); err != nil {
				t.Fatal(err)
			}
			found, err := filepath.Glob(filepath.Join(s.Root(), path))
			if err != nil || len(found) != 1 {
				t.Fatal(found, err)
			}
			garbage := register(t, s, "", layerTar("b=two"))
			if err := truncate(found[0], 100); err != nil {
				t.Fatal(err)
			}
			if _, err := s.GC(store.GCOptions{}); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), found[0]) {
				t.Errorf("gc: %v; want one that names %s", err, found[0])
			}
			if _, err := s.Chain(garbage.ID); err != nil {
				t.Errorf("something was collected all the same: %v", err)
			}
		})
	}
}

func TestMergedIndexIsACache(t *testing.T) {
	s := newStore(t)
	base := register(t, s, "", layerTar("a=one", "b=two"))
	mid := register(t, s, base.ID, layerTar("c=three"))
	top := register(t, s, mid.ID, layerTar(".wh.a=", "d=four"))
	image(t, s, "x:1", top.ID)
	path := filepath.Join(s.Root(), "merged", "sha256", top.ID.Encoded())
	for name, damage := range map[string]func() error{
		"not built":   func() error { return nil },
		"cached":      func() error { return nil },
		"deleted":     func() error { return os.Remove(path) },
		"truncated":   func() error { return truncate(path, 200) },
		"empty":       func() error { return truncate(path, 0) },
		"not of ours": func() error { return errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, make([]byte, 5000), 0o600)) },
	} {
		if _, err := os.Stat(path); err == nil {
			if err := damage(); err != nil {
				t.Fatal(err)
			}
		}
		x, err := s.MergedIndex(top.ID)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var names []string
		for pos := range x.Children(tarindex.Root) {
			n, _ := x.Child(tarindex.Root, pos)
			names = append(names, n)
		}
		if got := strings.Join(names, " "); got != "b c d" {
			t.Errorf("%s: tree %q", name, got)
		}
		if err := errors.Join(x.Verify(), x.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if cached, err := os.ReadDir(filepath.Dir(path)); err != nil || len(cached) != 1 {
		t.Errorf("cached: %v, %v; want the top alone", cached, err)
	}
	x, err := s.MergedIndex("")
	if err != nil || x.Len() != 1 {
		t.Errorf("the empty chain: %v", err)
	}
	if _, err := s.MergedIndex(digest.FromString("none")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no such chain: %v", err)
	}
}

// There is no limit of ours to the depth of a chain.
func TestDeepChain(t *testing.T) {
	s := newStore(t)
	release, err := s.Use()
	if err != nil {
		t.Fatal(err)
	}
	const depth = 300
	var layers []store.Chain
	for i := range 10 {
		layers = append(layers, register(t, s, "", layerTar("same="+strings.Repeat("x", i), "dir/"+string(rune('a'+i))+"=x")))
	}
	var top store.Chain
	for i := range depth {
		if top, err = s.AddChain(top.ID, layers[i%len(layers)].DiffID); err != nil {
			t.Fatal(err)
		}
	}
	if top.Depth != depth {
		t.Errorf("depth %d", top.Depth)
	}
	x, err := s.MergedIndex(top.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	i, _ := x.Lookup(tarindex.Root, "same")
	if got := x.Attr(i).Size; got != (depth-1)%10 {
		t.Errorf("the file of the top layer has %d bytes", got)
	}
	image(t, s, "deep:1", top.ID)
	release()
	if rm, err := s.RemoveImage("deep:1"); err != nil || len(rm.Chains) != depth {
		t.Errorf("removed %d chains, %v", len(rm.Chains), err)
	}
}

func TestCheckProgress(t *testing.T) {
	s := newStore(t)
	data := layerTar("a=" + strings.Repeat("one", 1000))
	register(t, s, "", data)
	var last, total int64
	err := s.Check(t.Context(), func(done, of int64) {
		if done < last || done > of {
			t.Errorf("progress went from %d to %d of %d", last, done, of)
		}
		last, total = done, of
	}, func(p store.Problem) { t.Error(p) })
	if err != nil || last != total || total != int64(len(data))+3000 {
		t.Errorf("read %d of %d bytes (%v); there are a tar of %d and a content of 3000", last, total, err, len(data))
	}
}
