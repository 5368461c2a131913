package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/store"
)

func TestImages(t *testing.T) {
	s := newStore(t)
	a := register(t, s, "", layerTar("a=one"))
	b := register(t, s, a.ID, layerTar("b=two"))
	image(t, s, "debian:12", a.ID)
	long := "registry.example.org:5000/" + strings.Repeat("deep/", 60) + "app:v1"
	image(t, s, long, b.ID)
	moved := image(t, s, "debian:12", b.ID)

	got, err := s.Image("debian:12")
	if err != nil || got.ChainID != b.ID || got.Config != moved.Config || got.Created.IsZero() {
		t.Errorf("moved name: %+v, %v", got, err)
	}
	imgs, err := s.Images()
	if err != nil || len(imgs) != 2 || imgs[0].Name != "debian:12" || imgs[1].Name != long {
		t.Errorf("images: %v, %v", imgs, err)
	}
	config, err := s.Blob(got.Config)
	if err != nil || string(config) != `{"config of":"debian:12"}` {
		t.Errorf("config: %s, %v", config, err)
	}
	tagged, err := s.Tag("debian:12", "debian:bookworm")
	if err != nil || tagged.ChainID != b.ID || tagged.Config != got.Config {
		t.Errorf("tag: %+v, %v", tagged, err)
	}
	bare, err := s.Tag(a.ID.String(), "base:1")
	if err != nil || bare.ChainID != a.ID || bare.Config != "" {
		t.Errorf("tag of a chain: %+v, %v", bare, err)
	}
	if err := s.PutImage(store.Image{Name: "scratch:1"}); err != nil {
		t.Errorf("image without layers: %v", err)
	}
}

func TestImageRefuses(t *testing.T) {
	s := newStore(t)
	nothing := digest.FromString("nothing")
	c := register(t, s, "", layerTar("a=one"))
	for name, tc := range map[string]struct {
		img  store.Image
		want error
	}{
		"no name":      {store.Image{ChainID: c.ID}, store.ErrName},
		"line feed":    {store.Image{Name: "a\nb", ChainID: c.ID}, store.ErrName},
		"no chain":     {store.Image{Name: "a", ChainID: nothing}, store.ErrNotFound},
		"no config":    {store.Image{Name: "a", ChainID: c.ID, Config: nothing}, store.ErrNotFound},
		"no manifest":  {store.Image{Name: "a", ChainID: c.ID, Manifest: nothing}, store.ErrNotFound},
		"not a digest": {store.Image{Name: "a", ChainID: "sha256:../../etc"}, store.ErrName},
	} {
		if err := s.PutImage(tc.img); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if _, err := s.Image("a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("image that was refused: %v", err)
	}
	if _, err := s.RemoveImage("a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("remove what is not there: %v", err)
	}
}

func TestResolve(t *testing.T) {
	s := newStore(t)
	// Chains until two of them begin with the same digit: 17 at most.
	byDigit := map[byte]digest.Digest{}
	var one, other digest.Digest
	for i := 0; one == ""; i++ {
		c := register(t, s, "", layerTar("n="+strings.Repeat("x", i)))
		first := c.ID.Encoded()[0]
		if prev, ok := byDigit[first]; ok {
			one, other = prev, c.ID
		}
		byDigit[first] = c.ID
	}
	img := image(t, s, "debian:12", one)

	for _, ref := range []string{"debian:12", one.String(), one.Encoded(), one.Encoded()[:16], "sha256:" + one.Encoded()[:16], img.Config.Encoded()[:16]} {
		if got, err := s.Resolve(ref); err != nil || got.ChainID != one {
			t.Errorf("resolve %q: %v, %v", ref, got, err)
		}
	}
	if got, err := s.Resolve("debian:12"); err != nil || got.Image == nil || got.Image.Config != img.Config {
		t.Errorf("an image's name gives no image: %v, %v", got, err)
	}
	_, err := s.Resolve(one.Encoded()[:1])
	if !errors.Is(err, store.ErrAmbiguous) || !strings.Contains(err.Error(), one.String()) || !strings.Contains(err.Error(), other.String()) {
		t.Errorf("short id of two chains: %v", err)
	}
	for _, ref := range []string{"debian:13", digest.FromString("no").String(), "sha256:", "../x", "zz"} {
		if _, err := s.Resolve(ref); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("resolve %q: %v", ref, err)
		}
	}
	if _, err := s.Resolve(""); !errors.Is(err, store.ErrName) {
		t.Errorf("resolve nothing: %v", err)
	}
}

// The cascade: child first, and only what nothing else needs.
func TestRemoveImage(t *testing.T) {
	s := newStore(t)
	data := map[string][]byte{
		"base": layerTar("a=one", "shared=x"), "mid": layerTar("b=two", "shared2=x"),
		"top": layerTar("c=three"), "side": layerTar("d=one"),
	}
	base := register(t, s, "", data["base"])
	mid := register(t, s, base.ID, data["mid"])
	top := register(t, s, mid.ID, data["top"])
	side := register(t, s, base.ID, data["side"])
	image(t, s, "top:1", top.ID)
	image(t, s, "side:1", side.ID)
	if _, err := s.Tag("top:1", "top:2"); err != nil {
		t.Fatal(err)
	}
	x, err := s.MergedIndex(top.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()

	if got, err := s.RemoveImage("top:2"); err != nil || len(got.Chains) != 0 || got.Deferred {
		t.Errorf("a second name: %+v, %v", got, err)
	}
	got, err := s.RemoveImage("top:1")
	if err != nil || got.Deferred || len(got.Chains) != 2 || got.Chains[0].ID != top.ID || got.Chains[1].ID != mid.ID {
		t.Errorf("removed %+v, %v; want top, then mid", got, err)
	}
	for _, gone := range []string{"two", "three"} {
		if in := pooled(t, s)[digestOf([]byte(gone)).Encoded()]; len(in) > 0 {
			t.Errorf("content %q is still in %v", gone, in)
		}
	}
	wantTar(t, s, base.ID, data["base"])
	wantTar(t, s, side.ID, data["side"])
	if x.Len() == 0 {
		t.Error("a merged index that is open went away with its chain")
	}
	rep, err := s.GC(store.GCOptions{})
	if err != nil || len(rep.Chains)+len(rep.Layers)+rep.Contents+rep.Blobs+rep.Merged != 0 {
		t.Errorf("rmi left something to gc: %+v, %v", rep, err)
	}
	if got, err := s.RemoveImage("side:1"); err != nil || len(got.Chains) != 2 || got.Chains[1].ID != base.ID {
		t.Errorf("removed %+v, %v; want side, then base", got, err)
	}
	for path := range files(t, s) {
		if path != "format" && path != "lock" {
			t.Errorf("left in an empty store: %s", path)
		}
	}
}

// While another command uses the store the name goes, and the layers stay for gc.
func TestRemoveImageDeferred(t *testing.T) {
	s := newStore(t)
	c := register(t, s, "", layerTar("a=one"))
	image(t, s, "x:1", c.ID)
	release, err := s.Use()
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.RemoveImage("x:1")
	if err != nil || !got.Deferred || len(got.Chains) != 0 {
		t.Errorf("removal while in use: %+v, %v", got, err)
	}
	if _, err := s.Chain(c.ID); err != nil {
		t.Errorf("a chain in use was removed: %v", err)
	}
	if rep, err := s.GC(store.GCOptions{}); err != nil || !rep.Deferred || len(rep.Chains) != 0 {
		t.Errorf("gc while in use: %+v, %v", rep, err)
	}
	release()
	if rep, err := s.GC(store.GCOptions{}); err != nil || rep.Deferred || len(rep.Chains) != 1 {
		t.Errorf("gc after it: %+v, %v", rep, err)
	}
}

// An image whose record is damaged can be removed; what it needed is left to gc, which does not run while another
// record is damaged.
func TestRemoveDamagedImage(t *testing.T) {
	s := newStore(t)
	c := register(t, s, "", layerTar("a=one"))
	image(t, s, "x:1", c.ID)
	record := filepath.Join(s.Root(), "images", digest.FromString("x:1").Encoded())
	if err := os.Truncate(record, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GC(store.GCOptions{}); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), record) {
		t.Errorf("gc with a damaged root: %v", err)
	}
	if _, err := s.Chain(c.ID); err != nil {
		t.Errorf("gc removed what a damaged image may need: %v", err)
	}
	if got, err := s.RemoveImage("x:1"); err != nil || !got.Deferred {
		t.Errorf("rmi of a damaged image: %+v, %v", got, err)
	}
}
