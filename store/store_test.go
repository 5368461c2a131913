package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/layerfs/layerfs/store"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	write := func(name, data string) string {
		root := filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-"), name)
		if err := errors.Join(os.MkdirAll(root, 0o700), os.WriteFile(filepath.Join(root, "format"), []byte(data), 0o600)); err != nil {
			t.Fatal(err)
		}
		return root
	}
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		root string
		want error
		says string
	}{
		"newer":         {write("newer", `{"layout":"layerfs","version":2}`), store.ErrFormat, "newer layerfs"},
		"empty format":  {write("empty", ""), store.ErrCorrupt, "format"},
		"garbled":       {write("garbled", `{"layout":"lay`), store.ErrCorrupt, "format"},
		"other program": {write("other", `{"layout":"zfs","version":1}`), store.ErrCorrupt, "format"},
		"not a store":   {foreign, store.ErrFormat, "thesis.txt"},
		"a file":        {file, syscall.ENOTDIR, file},
	} {
		if _, err := store.Open(tc.root, store.Options{}); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v; want %v that says %q", name, err, tc.want, tc.says)
		}
	}
	if entries, err := os.ReadDir(foreign); err != nil || len(entries) != 1 {
		t.Errorf("a foreign directory was written to: %v, %v", entries, err)
	}
	// A creation that was cut off is completed.
	half := t.TempDir()
	if err := os.Mkdir(filepath.Join(half, "staging"), 0o700); err != nil {
		t.Fatal(err)
	}
	wantClean(t, openStore(t, half))
}

// A record of a newer version is not a damaged one: the message says what to do.
func TestNewerRecord(t *testing.T) {
	s := openStore(t, filepath.Join(tempDir(t), "store"))
	c := register(t, s, "", layerTar("a=one"))
	path := filepath.Join(s.Root(), "chains", "sha256", c.ID.Encoded())
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(string(b), `"version": 1`, `"version": 2`, 1)
	if err := os.WriteFile(path, []byte(newer), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Chain(c.ID); !errors.Is(err, store.ErrFormat) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "newer") {
		t.Errorf("record of version 2: %v", err)
	}
	if cs, err := s.Chains(); !errors.Is(err, store.ErrFormat) || len(cs) != 0 {
		t.Errorf("list: %v, %v", cs, err)
	}
}

// What a plain user may not read he is told, with what to do. Root may read everything, so root becomes a plain user.
func TestOpenUnreadable(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "store")
	openStore(t, root)
	if err := os.Chmod(root, 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(root, 0o700)
	asPlainUser(t, func() {
		_, err := store.Open(root, store.Options{})
		if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "--root") {
			t.Errorf("unreadable store: %v", err)
		}
	})
}

func TestDefaultRoot(t *testing.T) {
	asPlainUser(t, func() {
		for _, tc := range []struct{ layerfs, xdg, home, want string }{
			{"/a", "/b", "/c", "/a"},
			{"", "/b", "/c", "/b/layerfs"},
			{"", "relative", "/c", "/c/.local/share/layerfs"},
			{"", "", "/c", "/c/.local/share/layerfs"},
		} {
			t.Setenv("LAYERFS_ROOT", tc.layerfs)
			t.Setenv("XDG_DATA_HOME", tc.xdg)
			t.Setenv("HOME", tc.home)
			if got, err := store.DefaultRoot(); err != nil || got != tc.want {
				t.Errorf("%+v: %q, %v", tc, got, err)
			}
		}
	})
}

// damages is what can happen to a file.
var damages = map[string]func(path string) error{
	"empty": func(path string) error { return truncate(path, 0) },
	"truncated": func(path string) error {
		fi, err := os.Stat(path)
		if err != nil {
			return err
		}
		return truncate(path, fi.Size()/2)
	},
	"missing": os.Remove,
	"flipped": func(path string) error {
		fi, err := os.Stat(path)
		if err != nil {
			return err
		}
		return flip(path, int(fi.Size()/2))
	},
	"flipped in front":        func(path string) error { return flip(path, 16) }, // a content of a pack
	"replaced by a directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
}

// Every file of a store is damaged in every way, one at a time: check finds it and says which, nothing panics, nothing is
// taken for an empty store, and the other image still comes out exactly.
func TestDamage(t *testing.T) {
	baseTar := layerTar("dir/a=one", "b=two", "shared=x")
	otherTar := layerTar("z=another image", "shared=x", "large="+large)
	fill := func(t *testing.T) *store.Store {
		s := openStore(t, filepath.Join(tempDir(t), "store"))
		register(t, s, "", baseTar)
		image(t, s, "base:1", store.ChainID("", digestOf(baseTar)))
		image(t, s, "other:1", register(t, s, "", otherTar).ID)
		base, err := s.Image("base:1")
		if err != nil {
			t.Fatal(err)
		}
		x, err := s.MergedIndex(base.ChainID)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		rw, err := s.CreateRW("web", base.ChainID, store.RWOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := rw.SetMount(store.Mount{PID: 1, Target: "/t"}); err != nil {
			t.Fatal(err)
		}
		return s
	}
	otherID := digestOf(otherTar)
	count := 0
	whole := fill(t)
	contents := map[string][]string{} // by file of the pool
	for sum, paths := range pooled(t, whole) {
		contents[paths[0]] = append(contents[paths[0]], sum)
	}
	needed := func(path string) bool { // for the other image
		return strings.Contains(path, otherID.Encoded()) || slices.ContainsFunc([]string{"x", "another image", large}, func(data string) bool {
			return slices.Contains(contents[path], digestOf([]byte(data)).Encoded())
		})
	}
	for path := range files(t, whole) {
		if filepath.Base(path) == "lock" || path == "format" {
			continue // made again when it is next used; TestOpen
		}
		for how, damage := range damages {
			// Without these there is nothing that could tell: a name that is gone was removed, a cache is made again.
			if how == "missing" && (strings.HasPrefix(path, "images/") || strings.HasPrefix(path, "merged/") || filepath.Base(path) == "mount") {
				continue
			}
			copied := filepath.Join(tempDir(t), "store")
			if err := os.CopyFS(copied, os.DirFS(whole.Root())); err != nil {
				t.Fatal(err)
			}
			s := openStore(t, copied)
			if err := damage(filepath.Join(s.Root(), path)); err != nil {
				t.Fatal(err)
			}
			count++
			var said []string
			for _, p := range problems(t, s) {
				said = append(said, p.String())
			}
			want := []string{filepath.Base(path)}
			if how == "missing" && strings.HasPrefix(path, "packs/") {
				want = contents[path] // whose pack it was nobody knows any more
			}
			for _, want := range want {
				if !strings.Contains(strings.Join(said, "\n"), want) {
					t.Errorf("%s %s: check says %q", path, how, said)
				}
			}
			// All must answer; the answer may be an error.
			imgs, imgsErr := s.Images()
			if imgsErr == nil && len(imgs) != 2 {
				t.Errorf("%s %s: images are %v without an error", path, how, imgs)
			}
			if _, err := s.RWs(); err != nil && !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("%s %s: RWs: %v", path, how, err)
			}
			if !needed(path) {
				wantTar(t, s, otherID, otherTar)
			}
			// A collection must not take damage for garbage: what can be read stays.
			before := files(t, s)
			if _, err := s.GC(store.GCOptions{}); err == nil {
				wantChain(t, s, path, how, "base:1")
			}
			for pack := range before {
				if strings.HasPrefix(pack, "packs/") && !strings.HasPrefix(path, "images/") && !exists(s, pack) {
					t.Errorf("%s %s: gc took %s", path, how, pack)
				}
			}
		}
	}
	t.Logf("%d damages", count)
}

// wantChain checks that a collection did not take an image's chain away.
func wantChain(t *testing.T, s *store.Store, path, how, name string) {
	t.Helper()
	img, err := s.Image(name)
	if err != nil {
		return
	}
	if _, err := s.Chain(img.ChainID); errors.Is(err, store.ErrNotFound) {
		t.Errorf("%s %s: gc took the chain of %s: %v", path, how, name, err)
	}
}

// A damaged content is named with the file that it is in each layer.
func TestCheckNamesFiles(t *testing.T) {
	s := openStore(t, filepath.Join(tempDir(t), "store"))
	c := register(t, s, "", layerTar("usr/bin/tool=binary", "top=binary", "fine=fine"))
	path := packOf(t, s, "binary")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b, []byte("binary"), []byte("BINARY"), 1)
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, b, 0o600)); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, p := range problems(t, s) {
		found[fmt.Sprintf("%s %s %s", p.Kind, p.ID, p.Path)] = true
	}
	for _, want := range []string{
		"content " + digestOf([]byte("binary")).Encoded() + " ",
		"layer " + c.DiffID.String() + " /usr/bin/tool",
		"layer " + c.DiffID.String() + " /top",
		"layer " + c.DiffID.String() + " ", // and that the tar cannot be made
	} {
		if !found[want] {
			t.Errorf("check does not report %q, only %v", want, found)
		}
	}
	if len(found) != 4 {
		t.Errorf("check reports more than what is wrong: %v", found)
	}
}

// Files that do not belong into a store are named, and gc does not choke on what it can tell.
func TestCheckStrangers(t *testing.T) {
	s := openStore(t, filepath.Join(tempDir(t), "store"))
	c := register(t, s, "", layerTar("a=one"))
	for _, path := range []string{
		"note.txt", "content/xyz", "content/ab", "packs/x", "packs/" + strings.Repeat("A", 64), "layers/sha256/README", "layers/sha256/" + c.DiffID.Encoded() + "/extra",
		"chains/sha256/x", "merged/sha256/x", "blobs/sha256/x", "rw/.hidden", "images/x",
	} {
		t.Run(path, func(t *testing.T) {
			full := filepath.Join(s.Root(), path)
			if err := os.WriteFile(full, []byte("?"), 0o600); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(full)
			ps := problems(t, s)
			if len(ps) != 1 || !strings.Contains(ps[0].String(), path) {
				t.Errorf("check reports %v", ps)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	s := newStore(t)
	a := register(t, s, "", layerTar("a=12345", "b=12345", "c=xyz"))
	b := register(t, s, a.ID, layerTar("a=12345", "d=+"))
	image(t, s, "a:1", a.ID)
	image(t, s, "b:1", b.ID)
	u, err := s.Usage()
	if err != nil {
		t.Fatal(err)
	}
	// 12345, xyz and + once; 5+5+3 and 5+1 in the layers; 13 and 19 in the images.
	// A pack of two contents and one of one: 16 bytes in front, 48 for each content, 64 at the end.
	if u.Packs != 2 || u.PackBytes != 2*(16+64)+3*48+9 {
		t.Errorf("packs: %+v", u)
	}
	if u.Contents != 3 || u.ContentBytes != 9 || u.LayerBytes != 19 || u.ImageBytes != 32 {
		t.Errorf("usage: %+v", u)
	}
	if u.Images != 2 || u.Chains != 2 || u.Layers != 2 || u.RWs != 0 || u.TotalBytes <= 0 {
		t.Errorf("usage: %+v", u)
	}
}
