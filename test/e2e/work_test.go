package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWork is the main job: mount, work, look at the changes, mount again, commit, mount the
// commit, and give the diff to other programs. The tree stays the same all the way.
func TestWork(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	im := readImage(b, filepath.Join(world.fixtures, "small.tar"))[0]
	b.layerfs("import", im.src)
	need(t, "setfattr", "getfattr")

	// A device comes in by a tar: the kernel lets nobody but root call mknod.
	b.layerfs("create", "--name", "w", "small:1")
	b.sh(`python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import make, tarfile
open("device.tar", "wb").write(make.Layer().dir("dev").add("dev/made", tarfile.CHRTYPE, mode=0o620, uid=3, rdev=(4, 64)).bytes())' "$PY"`)
	b.layerfs("apply", "w", b.path("device.tar"))

	at := b.mount("w", "small:1")
	b.sh(`cd "$1"; . "$2"`, at, filepath.Join(world.base, "testdata", "work.sh"))
	if asRoot() {
		b.sh(`cd "$1"; mknod -m 600 dev/mknod b 259 7`, at)
	} else {
		b.sh(`cd "$1"; fails mknod dev/mknod b 259 7`, at)
	}
	tree := b.walk(at)
	wantChanges(b, "mounted")

	b.umount("w")
	wantChanges(b, "after umount")
	b.mount("w", "small:1")
	sameTree(t, "mounted again", b.walk(at), tree)
	wantChanges(b, "mounted again")
	b.umount("w")

	b.sh(`layerfs diff w > diff.tar; layerfs diff w > again.tar; cmp again.tar diff.tar`)
	chain := b.layerfs("commit", "w", "--tag", "worked:1")
	b.sh(`layerfs export "$1" > exported.tar; cmp exported.tar diff.tar`, chain)
	fresh := b.mount("fresh", chain)
	sameTree(t, "the commit", b.walk(fresh), tree)
	if c := b.layerfs("changes", "fresh"); c != "" {
		t.Errorf("a fresh RW layer has changes:\n%s", c)
	}
	b.umount("fresh")

	diff := b.path("diff.tar")
	b.py("oracle.py", "gnutar", diff)
	sameTree(t, "the diff applied by Python's tarfile", b.oracle(append(im.layers, diff)...), tree)
	if asRoot() {
		t.Run("GNU tar", func(t *testing.T) { appliedByTar(b, append(im.layers, diff), tree) })
		t.Run("umoci", func(t *testing.T) { appliedByUmoci(b, "worked:1", tree) })
	} else {
		t.Log("GNU tar and umoci need root to make other people's files: applied by Python alone")
	}
	b.healthy()
}

// wantChanges compares `changes w` with the list written by hand.
func wantChanges(b *box, when string) {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(world.base, "testdata", "work.changes"))
	if err != nil {
		b.t.Fatal(err)
	}
	want := string(data)
	if asRoot() {
		want = strings.Replace(want, "A /dev/made\n", "C /dev\nA /dev/made\nA /dev/mknod\n", 1)
	}
	sameTree(b.t, "changes "+when, b.layerfs("changes", "w")+"\n", want)
}

// appliedByTar extracts layers with GNU tar as root.
func appliedByTar(b *box, layers []string, tree string) {
	b.t.Helper()
	b.py("apply.py", append([]string{b.path("extracted")}, layers...)...)
	sameTree(b.t, "the diff applied by GNU tar", b.withoutDirTimes(b.walk(b.path("extracted"))), b.withoutDirTimes(tree))
}

// appliedByUmoci unpacks the saved image with umoci as root.
func appliedByUmoci(b *box, ref, tree string) {
	b.t.Helper()
	need(b.t, "umoci")
	b.sh(`layerfs save "$1" -o worked.tar --format oci; mkdir layout; tar -xf worked.tar -C layout
	umoci --log=error raw unpack --image layout:"$(umoci ls --layout layout)" bundle`, ref)
	sameTree(b.t, "unpacked by umoci", b.withoutDirTimes(b.walk(b.path("bundle"))), b.withoutDirTimes(tree))
}

// withoutDirTimes drops what unpacking into a directory changes.
func (b *box) withoutDirTimes(tree string) string {
	b.t.Helper()
	file := b.path("tree.txt")
	if err := os.WriteFile(file, []byte(tree), 0o644); err != nil {
		b.t.Fatal(err)
	}
	return b.sh(`python3 "$PY"/oracle.py plain < tree.txt`)
}
