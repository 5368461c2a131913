package store_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/internal/pack"
	"github.com/layerfs/layerfs/internal/sys"
	"github.com/layerfs/layerfs/store"
)

// newStore makes an empty store that is checked when the test is over: whatever a test does, if it does not damage the
// store on purpose, the store is clean and a collection leaves nothing in staging and trash.
func newStore(t *testing.T) *store.Store {
	t.Helper()
	s := openStore(t, filepath.Join(tempDir(t), "store"))
	t.Cleanup(func() {
		if !t.Failed() {
			wantClean(t, s)
		}
	})
	return s
}

// tempDir is a directory for one test, in memory if the machine has such a place: a process that is killed loses nothing
// there, and a thousand fsyncs cost nothing.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "layerfs-test-") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := sys.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func openStore(t *testing.T, root string) *store.Store {
	t.Helper()
	s, err := store.Open(root, store.Options{Patience: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// problems runs Check and gives what it reports.
func problems(t *testing.T, s *store.Store) []store.Problem {
	t.Helper()
	var ps []store.Problem
	if err := s.Check(context.Background(), nil, func(p store.Problem) { ps = append(ps, p) }); err != nil {
		t.Fatalf("check: %v", err)
	}
	return ps
}

// wantClean checks the store and that a collection leaves no litter.
func wantClean(t *testing.T, s *store.Store) {
	t.Helper()
	for _, p := range problems(t, s) {
		t.Errorf("check: %v", p)
	}
	rep, err := s.GC(store.GCOptions{})
	if err != nil || rep.Deferred {
		t.Errorf("gc: deferred %v, %v", rep.Deferred, err)
	}
	wantNoLitter(t, s)
	for _, p := range problems(t, s) {
		t.Errorf("check after gc: %v", p)
	}
}

func wantNoLitter(t *testing.T, s *store.Store) {
	t.Helper()
	for _, dir := range []string{"staging", "trash"} {
		entries, err := os.ReadDir(filepath.Join(s.Root(), dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			t.Errorf("litter: %s/%s", dir, e.Name())
		}
	}
}

// files lists all files of a store by path, with the digest of what they hold. Records have times in them: of those only
// the name counts.
func files(t *testing.T, s *store.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(s.Root(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(s.Root(), path)
		if err != nil {
			return err
		}
		all[rel] = ""
		if strings.HasPrefix(rel, "content/") || strings.HasPrefix(rel, "blobs/") {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			all[rel] = fmt.Sprintf("%x", sha256.Sum256(b))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// layerTar makes a layer of regular files, "name=content" each, with Go's own tar writer.
func layerTar(files ...string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		name, data, _ := strings.Cut(f, "=")
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: time.Unix(1700000000, 0)}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		if _, err := w.Write([]byte(data)); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// register stores a layer.
func register(t *testing.T, s *store.Store, parent digest.Digest, data []byte) store.Chain {
	t.Helper()
	c, err := s.Register(context.Background(), parent, bytes.NewReader(data), store.UnpackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// image gives a chain a name and a config.
func image(t *testing.T, s *store.Store, name string, chain digest.Digest) store.Image {
	t.Helper()
	img, err := putImage(s, name, chain)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func putImage(s *store.Store, name string, chain digest.Digest) (store.Image, error) {
	config, err := s.PutBlob([]byte(`{"config of":"` + name + `"}`))
	if err != nil {
		return store.Image{}, err
	}
	img := store.Image{Name: name, Config: config, ChainID: chain}
	return img, s.PutImage(img)
}

// digestOf is the SHA-256 of data.
func digestOf(data []byte) digest.Digest { return digest.FromBytes(data) }

// wantTar checks that a layer comes out as the bytes that went in.
func wantTar(t *testing.T, s *store.Store, id digest.Digest, want []byte) {
	t.Helper()
	var b bytes.Buffer
	if err := s.LayerTar(context.Background(), id, &b); err != nil {
		t.Errorf("export of %s: %v", id, err)
	} else if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("export of %s: other bytes than went in", id)
	}
}

// large is content that is a file of its own.
var large = strings.Repeat("large ", 50_000)

// contentFile is the path of a large content in the pool, and that of a small one in a store from before there were
// packs.
func contentFile(s *store.Store, data string) string {
	h := fmt.Sprintf("%x", sha256.Sum256([]byte(data)))
	return filepath.Join(s.Root(), "content", h[:2], h[2:])
}

// pooled tells how often each content is in the pool, by its hash, and where: the paths of packs and files. It looks at
// the bytes.
func pooled(t *testing.T, s *store.Store) map[string][]string {
	t.Helper()
	in := map[string][]string{}
	for path, sum := range files(t, s) {
		switch {
		case strings.HasPrefix(path, "content/"):
			in[sum] = append(in[sum], path)
		case strings.HasPrefix(path, "packs/"):
			p, err := pack.Open(filepath.Join(s.Root(), path))
			if err != nil {
				t.Fatal(err)
			}
			for e := range p.All() {
				h := sha256.New()
				if _, err := io.Copy(h, p.Section(e)); err != nil {
					t.Fatal(err)
				}
				in[fmt.Sprintf("%x", h.Sum(nil))] = append(in[fmt.Sprintf("%x", h.Sum(nil))], path)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return in
}

// packOf is the path of the one pack that has a content.
func packOf(t *testing.T, s *store.Store, data string) string {
	t.Helper()
	paths := pooled(t, s)[fmt.Sprintf("%x", sha256.Sum256([]byte(data)))]
	if len(paths) != 1 || !strings.HasPrefix(paths[0], "packs/") {
		t.Fatalf("content %q is in %q; want one pack", data, paths)
	}
	return filepath.Join(s.Root(), paths[0])
}

// state is files, but for packs what is in them and how often: in which order an import appends is chance, and so is the
// name of a pack.
func state(t *testing.T, s *store.Store) map[string]string {
	t.Helper()
	all := files(t, s)
	maps.DeleteFunc(all, func(path, _ string) bool { return strings.HasPrefix(path, "packs/") })
	for sum, paths := range pooled(t, s) {
		for i, path := range paths {
			if strings.HasPrefix(path, "packs/") {
				all[fmt.Sprintf("packs: %s, %d", sum, i+1)] = ""
			}
		}
	}
	return all
}

// flip changes one bit of a file.
func flip(path string, at int) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(b) > 0 {
		b[at%len(b)] ^= 1
	}
	return errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, b, 0o600))
}

// truncate cuts a file off, which its owner may do once it is writable: most files of a store are not.
func truncate(path string, size int64) error {
	return errors.Join(os.Chmod(path, 0o600), os.Truncate(path, size))
}

// exists tells whether the store has the file path.
func exists(s *store.Store, path string) bool {
	_, err := os.Lstat(filepath.Join(s.Root(), path))
	return err == nil
}
