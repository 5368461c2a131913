package store_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/store"
	"github.com/layerfs/layerfs/tarindex"
)

// gzipped compresses data.
func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func TestRegister(t *testing.T) {
	s := newStore(t)
	big := strings.Repeat("0123456789abcdef", 100_000) // more than one block of the scanner
	base := layerTar("a=one", "b=two", "dup=one", "big="+big, "empty=")
	child := layerTar("a=three", ".wh.b=")
	diffID := digest.FromBytes(base)

	stream := gzipped(base)
	read := int64(0)
	c, err := s.Register(t.Context(), "", bytes.NewReader(stream), store.UnpackOptions{
		Expected: diffID, ExpectedCompressed: digest.FromBytes(stream), Progress: func(n int64) { read += n },
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != diffID || c.DiffID != diffID || c.Parent != "" || c.Depth != 1 {
		t.Errorf("base chain: %+v", c)
	}
	if read != int64(len(stream)) {
		t.Errorf("progress: %d bytes of %d", read, len(stream))
	}
	l, err := s.Layer(diffID)
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(len(base)); l.Size != want || l.CompressedSize != int64(len(stream)) || l.Compression != "gzip" || l.CompressedDigest != digest.FromBytes(stream) {
		t.Errorf("layer record: %+v", l)
	}
	if want := int64(3 + 3 + 3 + len(big)); l.ContentBytes != want || c.DiffSize != want {
		t.Errorf("content bytes: layer %d, chain %d, want %d", l.ContentBytes, c.DiffSize, want)
	}

	top := register(t, s, c.ID, child)
	// The rule of the image-spec, written out.
	if want := digest.FromString(string(diffID) + " " + string(digest.FromBytes(child))); top.ID != want {
		t.Errorf("ChainID %s, want %s", top.ID, want)
	}
	if top.Depth != 2 || top.Size != c.Size+5 || top.DiffSize != 5 {
		t.Errorf("child chain: %+v", top)
	}
	wantTar(t, s, c.ID, base)
	wantTar(t, s, top.ID, child)

	up, err := s.Ancestry(top.ID)
	if err != nil || len(up) != 2 || up[0].ID != c.ID || up[1].ID != top.ID {
		t.Errorf("ancestry: %v, %v", up, err)
	}
	x, err := s.MergedIndex(top.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if _, ok := x.Lookup(tarindex.Root, "b"); ok {
		t.Error("b is whited out and still in the merged tree")
	}
	i, _ := x.Lookup(tarindex.Root, "a")
	h, _ := x.Content(i)
	f, off, err := s.OpenContent(h, 5)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := make([]byte, 5)
	if _, err := f.ReadAt(got, off); err != nil || string(got) != "three" {
		t.Errorf("content of a in the merged tree: %q, %v", got, err)
	}
	image(t, s, "keep:1", top.ID)
}

func TestRegisterTwiceStoresNothingTwice(t *testing.T) {
	s := newStore(t)
	data := layerTar("a=one", "b=two", "l="+large)
	c := register(t, s, "", data)
	image(t, s, "x:1", c.ID)
	before := files(t, s)
	var infos []os.FileInfo
	paths := []string{packOf(t, s, "one"), contentFile(s, large)}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		infos = append(infos, info)
	}
	again := register(t, s, "", gzipped(data))
	if again != c {
		t.Errorf("second register: %+v, first: %+v", again, c)
	}
	for i, path := range paths {
		after, err := os.Stat(path)
		if err != nil || !os.SameFile(infos[i], after) {
			t.Errorf("%s was written again (%v)", path, err)
		}
	}
	if got := files(t, s); len(got) != len(before) {
		t.Errorf("%d files, then %d", len(before), len(got))
	}
	// The same layer on another parent: a chain more, a layer not.
	other := register(t, s, "", layerTar("c=one"))
	on := register(t, s, other.ID, data)
	if on.DiffID != c.DiffID || on.ID == c.ID {
		t.Errorf("same layer on another parent: %+v", on)
	}
	layers, err := s.Layers()
	if err != nil || len(layers) != 2 {
		t.Errorf("%d layers, %v", len(layers), err)
	}
}

func TestRegisterRefuses(t *testing.T) {
	s := newStore(t)
	good := layerTar("a=one", "b="+strings.Repeat("x", 5000))
	wrong := digest.FromString("something else")
	for _, tc := range []struct {
		name   string
		parent digest.Digest
		data   []byte
		o      store.UnpackOptions
		want   error
	}{
		{"not a tar", "", []byte(strings.Repeat("this is no tar\n", 1000)), store.UnpackOptions{}, tarindex.ErrNotTar},
		{"truncated", "", good[:3000], store.UnpackOptions{}, tarindex.ErrTruncated},
		{"truncated gzip", "", gzipped(good)[:60], store.UnpackOptions{}, tarindex.ErrTruncated},
		{"wrong digest", "", good, store.UnpackOptions{Expected: wrong}, store.ErrDigest},
		{"wrong blob digest", "", gzipped(good), store.UnpackOptions{ExpectedCompressed: wrong}, store.ErrDigest},
		{"no such parent", wrong, good, store.UnpackOptions{}, store.ErrNotFound},
		{"parent is no digest", "debian:12", good, store.UnpackOptions{}, store.ErrName},
		{"limit", "", good, store.UnpackOptions{Limits: tarindex.Limits{Entries: 1}}, tarindex.ErrLimit},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := files(t, s)
			if _, err := s.Register(t.Context(), tc.parent, bytes.NewReader(tc.data), tc.o); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
			wantNoLitter(t, s)
			if after := files(t, s); len(after) != len(before) {
				t.Errorf("something was left behind: %v, before %v", after, before)
			}
		})
	}
}

// A registration puts right what it can see: a layer directory that is damaged, packs that cannot be used, and large
// contents of the wrong length. Damaged packs are out of the way after a collection.
func TestRegisterHeals(t *testing.T) {
	data := layerTar("a=one", "b=two", "l="+large)
	pack := func(s *store.Store) string { return packOf(t, s, "one") }
	for name, damage := range map[string]func(*store.Store, string) error{
		"record":            func(s *store.Store, dir string) error { return truncate(dir+"/record", 10) },
		"no record":         func(s *store.Store, dir string) error { return os.Remove(dir + "/record") },
		"index":             func(s *store.Store, dir string) error { return truncate(dir+"/index", 10) },
		"tar-split":         func(s *store.Store, dir string) error { return os.Remove(dir + "/tar-split") },
		"empty content":     func(s *store.Store, dir string) error { return truncate(contentFile(s, large), 0) },
		"no content":        func(s *store.Store, dir string) error { return os.Remove(contentFile(s, large)) },
		"no pack":           func(s *store.Store, dir string) error { return os.Remove(pack(s)) },
		"empty pack":        func(s *store.Store, dir string) error { return truncate(pack(s), 0) },
		"short pack":        func(s *store.Store, dir string) error { return truncate(pack(s), 100) },
		"damaged table":     func(s *store.Store, dir string) error { return flip(pack(s), 16+len("onetwo")+40) },
		"damaged footer":    func(s *store.Store, dir string) error { return flip(pack(s), 16+len("onetwo")+2*48+40) },
		"nothing but a dir": func(s *store.Store, dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t) // checks at the end that all is well again
			c := register(t, s, "", data)
			image(t, s, "x:1", c.ID)
			if err := damage(s, s.Root()+"/layers/sha256/"+c.DiffID.Encoded()); err != nil {
				t.Fatal(err)
			}
			if len(problems(t, s)) == 0 {
				t.Error("check does not see the damage")
			}
			register(t, s, "", data)
			wantTar(t, s, c.ID, data)
			collect(t, s)
		})
	}
}
