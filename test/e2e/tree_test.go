package e2e

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func itoa(i int) string { return strconv.Itoa(i) }

func architecture() string { return runtime.GOARCH }

// TestImages takes every image through the main job without a change: import, mount, compare
// with an independent reading of its tars, export each layer, save in both
// formats, and read the result with skopeo.
func TestImages(t *testing.T) {
	for _, src := range allImages(t) {
		t.Run(filepath.Base(src), func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			images := readImage(b, src)
			names := lines(b.layerfs("import", src))
			refs := firstNames(b, names, len(images))
			for i, im := range images {
				imageTree(b, im, refs[i], "rw"+itoa(i))
				imageLayers(b, im, refs[i])
				imageSave(b, im, refs[i])
			}
			b.healthy()
		})
	}
}

// firstNames picks one printed name for each image of an archive: several tags of
// one image are printed one after the other, and have the same chain.
func firstNames(b *box, names []string, count int) []string {
	var refs []string
	last := ""
	for _, name := range names {
		if chain := b.inspect(name).ChainID; chain != last {
			refs, last = append(refs, name), chain
		}
	}
	if len(refs) != count {
		b.t.Fatalf("%d images printed (%v), the archive has %d", len(refs), names, count)
	}
	return refs
}

// imageTree mounts an image read-write and read-only and compares the tree.
func imageTree(b *box, im image, ref, name string) {
	b.t.Helper()
	want := b.oracle(im.layers...)
	for _, mode := range []string{"rw", "ro"} {
		var options []string
		if mode == "ro" {
			options = append(options, "--read-only")
		}
		at := b.mount(name+mode, ref, options...)
		sameTree(b.t, ref+" mounted "+mode, b.walk(at), want)
		// Once more: the second walk is answered from the kernel's caches.
		sameTree(b.t, ref+" mounted "+mode+", again", b.walk(at), want)
		if mode == "ro" {
			if r := b.exec("touch", filepath.Join(at, "new")); r.code == 0 || !strings.Contains(r.err, "Read-only") {
				b.t.Errorf("a read-only mount can be written: %v", r)
			}
		}
		b.umount(name + mode)
	}
	if changes := b.layerfs("changes", name+"rw"); changes != "" {
		b.t.Errorf("nothing was changed in %s, changes says %s", ref, changes)
	}
}

// imageLayers exports every layer; its digest must be the DiffID in the config.
func imageLayers(b *box, im image, ref string) {
	b.t.Helper()
	if got, want := b.inspect(ref).ChainID, b.chainID(im.diffIDs); got != want {
		b.t.Errorf("ChainID of %s: %s, want %s", ref, got, want)
	}
	for i, diffID := range im.diffIDs {
		out := b.sh(`layerfs export "$1" > layer.tar; sha256sum < layer.tar`, b.chainID(im.diffIDs[:i+1]))
		if got := "sha256:" + out[:64]; got != diffID {
			b.t.Errorf("layer %d of %s: exported with digest %s, DiffID %s", i, ref, got, diffID)
		}
	}
}

// imageSave saves in both formats; our own independent reader and skopeo must find the same
// config and layers again, and layerfs must import it as the same image.
func imageSave(b *box, im image, ref string) {
	b.t.Helper()
	for _, format := range []string{"oci", "docker-archive"} {
		file := b.path("saved-" + format + ".tar")
		b.layerfs("save", ref, "-o", file, "--format", format)
		again := readImage(b, file)
		if len(again) != 1 {
			b.t.Fatalf("saved as %s: %d images in it", format, len(again))
		}
		if got, want := strings.Join(again[0].diffIDs, " "), strings.Join(im.diffIDs, " "); got != want {
			b.t.Errorf("saved as %s: DiffIDs %s, want %s", format, got, want)
		}
		b.sh(`cmp "$1" "$2"`, again[0].config, im.config)
		skopeoReads(b, format, file, im)
		other := b.path("other-" + format)
		b.layerfs("--root", other, "import", file)
		b.sh(`test "$(layerfs --root "$1" layers -q | sort)" = "$(echo "$2" | tr ' ' '\n' | sort)"`,
			other, strings.Join(b.chains(im.diffIDs), " "))
		b.sh(`rm -rf "$1" "$2" parts-saved-*`, file, other)
	}
}

// chains are the ChainIDs of an image, one for each layer.
func (b *box) chains(diffIDs []string) []string {
	var ids []string
	for i := range diffIDs {
		ids = append(ids, b.chainID(diffIDs[:i+1]))
	}
	return ids
}

// skopeoReads copies a saved image with skopeo, which verifies every digest, and
// compares the layers that it found.
func skopeoReads(b *box, format, file string, im image) {
	b.t.Helper()
	if b.exec("sh", "-c", "command -v skopeo").code != 0 {
		b.t.Log("skopeo is not installed: saved images were read by testdata/py/image.py alone")
		return
	}
	transport := map[string]string{"oci": "oci-archive:", "docker-archive": "docker-archive:"}[format]
	copied := b.path("skopeo-" + format)
	b.sh(`skopeo --insecure-policy --tmpdir "$TMPDIR" copy -q "$1" "dir:$2"`, transport+file, copied)
	config := b.sh(`python3 -c 'import json,sys; m=json.load(open(sys.argv[1]+"/manifest.json")); print(m["config"]["digest"])' "$1"`, copied)
	b.sh(`cmp "$1/$2" "$3"`, copied, strings.TrimPrefix(strings.TrimSpace(config), "sha256:"), im.config)
	layers := b.sh(`python3 -c 'import json,sys; m=json.load(open(sys.argv[1]+"/manifest.json")); print(*[l["digest"] for l in m["layers"]])' "$1"`, copied)
	for i, digest := range strings.Fields(layers) {
		name := filepath.Join(copied, strings.TrimPrefix(digest, "sha256:"))
		out := b.sh(`case $(head -c2 "$1" | od -An -tx1 | tr -d ' ') in 1f8b) gzip -dc "$1";; *) cat "$1";; esac | sha256sum`, name)
		if got := "sha256:" + out[:64]; i >= len(im.diffIDs) || got != im.diffIDs[i] {
			b.t.Errorf("skopeo found layer %d of the saved %s with digest %s", i, format, got)
		}
	}
	if err := os.RemoveAll(copied); err != nil {
		b.t.Error(err)
	}
}

// TestBareLayer registers a root file system that is no image.
func TestBareLayer(t *testing.T) {
	if world.images == "" {
		t.Skip("needs the folder of real images")
	}
	t.Parallel()
	b := newBox(t)
	packed := filepath.Join(world.images, "alpine-minirootfs-3.20.3-x86_64.tar.gz")
	b.sh(`gzip -dc "$1" > plain.tar`, packed)
	b.py("oracle.py", "gnutar", b.path("plain.tar"))
	id := b.layerfs("register", packed)
	if want := "sha256:" + b.sh("sha256sum < plain.tar")[:64]; id != want {
		t.Errorf("ChainID %s, want %s", id, want)
	}
	at := b.mount("alpine", id)
	sameTree(t, "alpine", b.walk(at), b.oracle(b.path("plain.tar")))
	b.umount("alpine")
	b.sh(`layerfs export "$1" > out.tar; cmp out.tar plain.tar`, id)
	b.healthy()
}

// TestPlatform picks one image of several platforms.
func TestPlatform(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	multi := filepath.Join(world.fixtures, "multi.tar")
	for _, arch := range []string{"amd64", "arm64"} {
		ref := b.layerfs("import", "--platform", "linux/"+arch, "--name", "only:"+arch, multi)
		at := b.mount(arch, ref)
		if got := b.sh(`cat "$1"/arch`, at); got != arch+"\n" {
			t.Errorf("platform linux/%s brought the tree of %s", arch, got)
		}
		b.umount(arch)
	}
	b.refused(3, []string{"linux/amd64", "linux/arm64", "linux/s390x"}, "import", "--platform", "linux/s390x", multi)
	b.refused(3, []string{"linux/s390x", "linux/riscv64"}, "import", filepath.Join(world.fixtures, "foreign.tar"))
	b.healthy()
}
