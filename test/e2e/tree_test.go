package e2e

import (
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func itoa(i int) string { return strconv.Itoa(i) }

func architecture() string { return runtime.GOARCH }

// TestImages takes the fixtures and the real images through the main job without a change.
func TestImages(t *testing.T) {
	for _, src := range allImages(t) {
		t.Run(filepath.Base(src), func(t *testing.T) {
			t.Parallel()
			untouched(newBox(t), src)
		})
	}
}

// untouched takes an image file through the main job without a change: import, mount, compare
// with an independent reading of its tars, export each layer, save in both
// formats, and read the result with skopeo.
func untouched(b *box, src string) {
	b.t.Helper()
	images := readImage(b, src)
	names := lines(b.layerfs("import", src))
	refs := firstNames(b, names, len(images))
	for i, im := range images {
		imageTree(b, im, refs[i], "rw"+itoa(i))
		imageLayers(b, im, refs[i])
		imageSave(b, im, refs[i])
	}
	b.healthy()
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
	chains := im.chains()
	if got, want := b.inspect(ref).ChainID, chains[len(chains)-1]; got != want {
		b.t.Errorf("ChainID of %s: %s, want %s", ref, got, want)
	}
	sums := b.sh(`for id; do layerfs export "$id" > layer.tar; sha256sum < layer.tar; done`, chains...)
	for i, sum := range lines(sums) {
		if got := "sha256:" + sum[:64]; got != im.diffIDs[i] {
			b.t.Errorf("layer %d of %s: exported with digest %s, DiffID %s", i, ref, got, im.diffIDs[i])
		}
	}
}

// imageSave saves in both formats; our own independent reader and skopeo must find the same
// config and layers again, and layerfs must import it as the same image.
func imageSave(b *box, im image, ref string) {
	b.t.Helper()
	for format, transport := range map[string]string{"oci": "oci-archive:", "docker-archive": "docker-archive:"} {
		file, skopeo, other := b.path("saved-"+format+".tar"), b.path("skopeo-"+format), b.path("other-"+format)
		b.layerfs("save", ref, "-o", file, "--format", format)
		sameImage(b, "saved as "+format, file, im)
		if installed("skopeo") {
			b.sh(`skopeo --insecure-policy --tmpdir "$TMPDIR" copy -q "$1" "dir:$2"`, transport+file, skopeo)
			sameImage(b, "saved as "+format+" and read by skopeo", skopeo, im)
		} else {
			b.t.Log("skopeo is not installed: saved images were read by testdata/py/image.py alone")
		}
		b.layerfs("--root", other, "import", file)
		got := slices.Sorted(slices.Values(lines(b.layerfs("--root", other, "layers", "-q"))))
		if want := slices.Sorted(slices.Values(im.chains())); !slices.Equal(got, want) {
			b.t.Errorf("saved as %s and imported again: chains %v, want %v", format, got, want)
		}
		b.sh(`rm -rf "$@"`, file, skopeo, other)
	}
}

// sameImage reads an archive or directory and wants this one image in it.
func sameImage(b *box, what, src string, im image) {
	b.t.Helper()
	found := readImage(b, src)
	if len(found) != 1 {
		b.t.Fatalf("%s: %d images in it", what, len(found))
	}
	if !slices.Equal(found[0].diffIDs, im.diffIDs) {
		b.t.Errorf("%s: DiffIDs %v, want %v", what, found[0].diffIDs, im.diffIDs)
	}
	b.sh(`cmp "$1" "$2"; rm -r "$3"`, found[0].config, im.config, filepath.Dir(filepath.Dir(found[0].config)))
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
