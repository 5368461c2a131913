package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/store"
)

func TestNewConfig(t *testing.T) {
	f := newFixture(t)
	diffID := digest.Digest(sha([]byte("new")))
	h := History{Created: time.Date(2025, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)), CreatedBy: "layerfs commit", Author: "A <a@b>", Comment: "c"}
	out, err := NewConfig(f.config, diffID, h)
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewConfig(f.config, diffID, h)
	if err != nil || !bytes.Equal(out, again) {
		t.Errorf("not reproducible: %v", err)
	}
	var got, want object
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(f.config, &want); err != nil {
		t.Fatal(err)
	}
	want["created"] = "2025-01-02T02:04:05.000000006Z"
	want["author"] = "A <a@b>"
	want["history"] = []object{{"created": want["created"], "created_by": "layerfs commit", "author": "A <a@b>", "comment": "c"}}
	want["rootfs"].(object)["diff_ids"] = append(want["rootfs"].(object)["diff_ids"].([]any), diffID)
	if g, w := toJSON(t, got), toJSON(t, want); !bytes.Equal(g, w) {
		t.Errorf("config\n%s\nwant\n%s", g, w)
	}
}

func TestNewConfigFromNothing(t *testing.T) {
	diffID := sha([]byte("new"))
	out, err := NewConfig(nil, digest.Digest(diffID), History{})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"architecture":"` + runtime.GOARCH + `","created":"1970-01-01T00:00:00Z","history":[{"created":"1970-01-01T00:00:00Z"}],` +
		`"os":"linux","rootfs":{"type":"layers","diff_ids":["` + diffID + `"]}}`
	if string(out) != want {
		t.Errorf("%s\nwant\n%s", out, want)
	}
}

func TestNewConfigBad(t *testing.T) {
	good := digest.Digest(sha(nil))
	for _, c := range []struct {
		parent string
		diffID digest.Digest
		want   error
	}{
		{"not JSON", good, ErrJSON},
		{"[]", good, ErrJSON},
		{"{}", good, ErrMediaType},
		{`{"rootfs":{"type":"layers","diff_ids":["x"]}}`, good, ErrDigest},
		{`{"rootfs":{"type":"layers"}}`, "sha256:x", ErrDigest},
		{`{"rootfs":{"type":"layers"}}`, "", ErrDigest},
	} {
		if _, err := NewConfig([]byte(c.parent), c.diffID, History{}); !errors.Is(err, c.want) {
			t.Errorf("%s + %s: %v, want %v", c.parent, c.diffID, err, c.want)
		}
	}
}

// TestCommit: the config of the nearest image below, and what came on top of it.
func TestCommit(t *testing.T) {
	f := newFixture(t)
	s := newStore(t)
	if _, err := Import(t.Context(), s, f.archive(t), Options{}); err != nil {
		t.Fatal(err)
	}
	// Two layers more; the first was committed without a name.
	diffIDs := slices.Clone(f.diffIDs)
	top := digest.Digest(f.chainID)
	for _, name := range []string{"one", "two"} {
		data := layerTar(t, map[string]string{name: name})
		chain, err := s.Register(t.Context(), top, bytes.NewReader(data), store.UnpackOptions{})
		if err != nil {
			t.Fatal(err)
		}
		top = chain.ID
		diffIDs = append(diffIDs, sha(data))
	}
	// Another image of the same chain, with another config, which is only taken when asked for.
	other, err := s.PutBlob(bytes.Replace(f.config, []byte("PATH=/bin"), []byte("PATH=/sbin"), 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutImage(store.Image{Name: "zzz:1", ChainID: digest.Digest(f.chainID), Config: other}); err != nil {
		t.Fatal(err)
	}
	for base, env := range map[string]string{"": "PATH=/bin", "example.org/app:1": "PATH=/bin", "zzz:1": "PATH=/sbin", "absent:1": "PATH=/bin"} {
		img, err := Commit(s, top, base, "docker.io/library/new:1", History{CreatedBy: "test"})
		if err != nil {
			t.Fatal(err)
		}
		stored, err := s.Image("new:1")
		if err != nil || stored.ChainID != top || stored.Config != img.Config {
			t.Errorf("stored %+v, %v", stored, err)
		}
		var got struct {
			Config struct{ Env []string }
			RootFS struct {
				DiffIDs []string `json:"diff_ids"`
			}
			History []object
		}
		data, err := s.Blob(img.Config)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.RootFS.DiffIDs, diffIDs) || !slices.Equal(got.Config.Env, []string{env}) || len(got.History) != 2 {
			t.Errorf("base %q: config %s", base, data)
		}
		saved(t, s, OCI, "new:1")
	}

	if err := s.PutImage(store.Image{Name: "wrong:1", ChainID: digest.Digest(f.diffIDs[0]), Config: digest.Digest(sha(f.config))}); err != nil {
		t.Fatal(err)
	}
	above := digest.Digest(sha([]byte(f.diffIDs[0] + " " + f.diffIDs[1])))
	if _, err := Commit(s, above, "", "x", History{}); !errors.Is(err, ErrLayerCount) {
		t.Errorf("%v", err)
	}
	if _, err := Commit(s, top, "", "Bad Name", History{}); !errors.Is(err, ErrName) {
		t.Errorf("%v", err)
	}
	if _, err := Commit(s, "", "", "x", History{}); !errors.Is(err, ErrNoImage) {
		t.Errorf("%v", err)
	}
	if _, err := Commit(s, digest.Digest(sha(nil)), "", "x", History{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

// TestCommitFromNothing: registered layers that never were an image.
func TestCommitFromNothing(t *testing.T) {
	f := newFixture(t)
	s := newStore(t)
	var top digest.Digest
	for _, l := range f.layers {
		chain, err := s.Register(t.Context(), top, bytes.NewReader(l), store.UnpackOptions{})
		if err != nil {
			t.Fatal(err)
		}
		top = chain.ID
	}
	if _, err := Commit(s, top, "", "scratch/app:1", History{}); err != nil {
		t.Fatal(err)
	}
	again := newStore(t)
	images, err := Import(t.Context(), again, saved(t, s, OCI, "scratch/app:1"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	f.config = nil
	f.checkImage(t, again, images[0])
}
