package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An image is an image file of another program, and what an independent reader found in it.
type image struct {
	src     string
	layers  []string // plain tars, the lowest first
	diffIDs []string
	config  string // its config file
}

// readImage takes an image apart with testdata/py/image.py, and makes sure that Python
// and GNU tar read the same in its layers. It returns each image of an archive.
func readImage(b *box, src string) []image {
	b.t.Helper()
	out := b.path("parts-" + filepath.Base(src))
	b.py("image.py", src, out, architecture())
	entries, err := os.ReadDir(out)
	if err != nil {
		b.t.Fatal(err)
	}
	var found []image
	for _, e := range entries {
		if e.Name() == "scratch" {
			continue
		}
		dir := filepath.Join(out, e.Name())
		data, err := os.ReadFile(filepath.Join(dir, "diffids"))
		if err != nil {
			b.t.Fatal(err)
		}
		im := image{src: src, config: filepath.Join(dir, "config.json"), diffIDs: strings.Fields(string(data))}
		for i := range im.diffIDs {
			im.layers = append(im.layers, filepath.Join(dir, itoa(i)+".tar"))
		}
		b.py("oracle.py", append([]string{"gnutar"}, im.layers...)...)
		found = append(found, im)
	}
	return found
}

// allImages are the fixtures and, where they are, the real images.
func allImages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, name := range []string{"small.tar", "three.tar", "two.tar", "oci.tar", "oci-dir", "sparse.tar", "multi.tar"} {
		all = append(all, filepath.Join(world.fixtures, name))
	}
	if world.images == "" {
		t.Log("no folder of real images: only those that the tests make themselves")
		return all
	}
	entries, err := os.ReadDir(world.images)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		// The folder also holds a README and a bare layer.
		if e.IsDir() || filepath.Ext(e.Name()) == ".tar" {
			all = append(all, filepath.Join(world.images, e.Name()))
		}
	}
	return all
}

// chains are the ChainIDs of an image, one for each layer, as the image-spec defines
// them: the DiffID of the base, then a digest over parent and DiffID.
func (im image) chains() []string {
	ids := []string{im.diffIDs[0]}
	for _, diffID := range im.diffIDs[1:] {
		id := sha256.Sum256([]byte(ids[len(ids)-1] + " " + diffID))
		ids = append(ids, "sha256:"+hex.EncodeToString(id[:]))
	}
	return ids
}

// oracle gives the tree that layers make, as testdata/py/oracle.py sees it.
func (b *box) oracle(layers ...string) string {
	b.t.Helper()
	return b.py("oracle.py", append([]string{"tree"}, layers...)...)
}

// walk gives the tree that is below a folder, in the same form.
func (b *box) walk(dir string) string {
	b.t.Helper()
	return b.py("oracle.py", "walk", dir)
}

// sameTree compares two trees in the oracle's form and shows the first differences.
func sameTree(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := lines(got), lines(want)
	shown := 0
	show := func(sign string, of, other []string) {
		for _, line := range of {
			if _, ok := slices.BinarySearch(other, line); !ok && shown < 40 {
				t.Logf("%s %s", sign, line)
				shown++
			}
		}
	}
	gs, ws := slices.Sorted(slices.Values(g)), slices.Sorted(slices.Values(w))
	show("unexpected", g, ws)
	show("missing   ", w, gs)
	t.Errorf("%s: the trees differ (%d names, want %d)", what, len(g), len(w))
}

func lines(s string) []string {
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}
