package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"
)

// registerBase takes in the lowest layer of testdata/builders, and further layers on top; it returns the ChainID.
func (b *box) registerBase(more ...string) string {
	b.t.Helper()
	b.py("../builders/base.py", b.path("base.tar"))
	id := b.layerfs("register", b.path("base.tar"))
	for _, layer := range more {
		id = b.layerfs("register", "--parent", id, layer)
	}
	return id
}

// TestSameBytes does the same changes in two orders. Whatever happens to the mounts, both RW layers give one diff, one
// layer and, with SOURCE_DATE_EPOCH, one image; other programs read the diff.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	need(t, "bsdtar")
	b := newBox(t)
	base := b.registerBase()
	forwards, backwards := b.mount("forwards", base), b.mount("backwards", base)
	b.py("changes.py", "do", forwards)
	b.py("changes.py", "do", backwards, "backwards")
	tree := b.walk(forwards)
	b.layerfs("diff", "-o", b.path("diff.tar"), "forwards")
	diff, err := os.ReadFile(b.path("diff.tar"))
	if err != nil {
		t.Fatal(err)
	}
	same := func(when string) {
		t.Helper()
		for _, name := range []string{"forwards", "backwards"} {
			if r := b.exec("layerfs", "diff", name); r.code != 0 || r.out != string(diff) {
				t.Errorf("%s, %s: other bytes, or exit code %d: %s", name, when, r.code, r.err)
			}
		}
	}
	same("mounted")
	b.umount("forwards")
	same("after an unmount")
	b.mount("forwards", base)
	sameTree(t, "mounted again", b.walk(forwards), tree)
	same("mounted again")
	for pid := range processes(b.tag) {
		killAndWait(pid)
	}
	same("after a kill")
	unmountBelow(b.dir)
	b.mount("forwards", base)
	same("mounted after a kill")
	b.umount("forwards")

	b.py("changes.py", "check", b.path("diff.tar"))
	b.py("oracle.py", "gnutar", b.path("diff.tar"))
	sameTree(t, "the diff applied by Python's tarfile", b.oracle(b.path("base.tar"), b.path("diff.tar")), tree)

	parent, diffID := base, sha256.Sum256(diff)
	want := sha256.Sum256([]byte(parent + " sha256:" + hex.EncodeToString(diffID[:])))
	chain := "sha256:" + hex.EncodeToString(want[:])
	for _, name := range []string{"forwards", "forwards", "backwards"} {
		if got := b.layerfs("commit", name); got != chain {
			t.Errorf("commit %s: ChainID %s, want %s", name, got, chain)
		}
	}

	b.env = append(b.env, "SOURCE_DATE_EPOCH=1500000000")
	var digests []string
	for i, name := range []string{"forwards", "backwards"} {
		b.layerfs("diff", name, "-o", b.path("clamped.tar"))
		b.py("changes.py", "check", b.path("clamped.tar"), "1500000000")
		ref := "made:" + itoa(i)
		b.layerfs("commit", name, "--tag", ref)
		if i == 0 {
			time.Sleep(time.Second) // so that a time of day would show
		}
		b.layerfs("save", ref, "-o", b.path("image.tar"))
		b.sh(`mkdir "$1"; tar -xf image.tar -C "$1"`, name)
		digests = append(digests, b.sh(`python3 -c 'import json,sys; print(json.load(open(sys.argv[1]+"/index.json"))["manifests"][0]["digest"])' "$1"`, name))
	}
	if digests[0] != digests[1] {
		t.Errorf("two images of the same work: %s%s", digests[0], digests[1])
	}
	b.healthy()
}

// TestReservedNames: what would be a whiteout in a layer cannot be made in a mount.
func TestReservedNames(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.sh(`python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import make
open("named.tar", "wb").write(make.Layer().dir(".wh.lower").file(".wh.lower/file", b"x").bytes())' "$PY"`)
	at := b.mount("w", b.registerBase(b.path("named.tar")))
	b.py("changes.py", "reserved", at)
	// Nothing of all that has left a trace in the diff; names that only look similar are in it.
	b.sh(`layerfs diff w | tar -t > listed; grep -qx 'x.wh.' listed; grep -qx '.whx' listed; fails grep -q '\(^\|/\)[.]wh[.]' listed`)
	b.umount("w")
	b.healthy()
}

// TestDiffFails: what cannot be in the layer, or cannot be read, fails diff and commit with its name; no file is left
// and nothing is committed.
func TestDiffFails(t *testing.T) {
	t.Parallel()
	need(t, "setfattr")
	b := newBox(t)
	b.sh(`python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import make
open("named.tar", "wb").write(make.Layer().dir(".wh.lower").file(".wh.lower/file", b"x").bytes())
open("large.tar", "wb").write(make.Layer().dir("opt").file("opt/large", b"large" * 100000).file("opt/small", b"small, and nowhere else").bytes())' "$PY"`)
	base := b.registerBase(b.path("named.tar"), b.path("large.tar"))
	layers := b.layerfs("layers", "-q")
	for _, c := range []struct {
		name, change string
		code         int
		words        []string
	}{
		{"socket", `python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("moved/socket")'`, 1, []string{"moved/socket", "socket"}},
		{"xattr", `setfattr -n user.a=b -v x was-file`, 1, []string{"was-file", "user.a=b"}},
		{"removed", `rm -r .wh.lower`, 1, []string{".wh.lower"}},
		{"changed", `echo more >> .wh.lower/file`, 1, []string{".wh.lower"}},
		// With attributes alone in the upper, the content is the lower layer's.
		// Bytes that are not what came in do not go out under a new digest.
		{"flipped", `chmod 600 opt/large; f=$(find "$LAYERFS_ROOT"/content -type f -size +400k); chmod u+w "$f"
			printf X | dd of="$f" bs=1 seek=300000 conv=notrunc status=none`, 5, []string{"opt/large", "damaged"}},
		{"large", `chmod 600 opt/large; find "$LAYERFS_ROOT"/content -type f -size +400k -delete`, 5, []string{"opt/large"}},
		{"small", `chmod 600 opt/small
			grep -rlF 'small, and nowhere else' "$LAYERFS_ROOT" | while read -r f; do chmod u+w "$f"; truncate -s 0 "$f"; done`, 5, []string{"opt/small"}},
	} {
		at := b.mount(c.name, base)
		b.sh(`cd "$1"; `+c.change, at)
		b.umount(c.name)
		b.sh(`mkdir out`)
		b.refused(c.code, c.words, "diff", c.name, "-o", b.path("out", "diff.tar"))
		b.sh(`echo before > out/old.tar`)
		b.refused(c.code, c.words, "diff", c.name, "-o", b.path("out", "old.tar"))
		if got := b.sh(`ls -A out; cat out/*; rm -r out`); got != "old.tar\nbefore\n" {
			t.Errorf("%s: the diff that failed has left %q", c.name, got)
		}
		b.refused(c.code, c.words, "diff", c.name)
		b.refused(c.code, append(c.words, c.name), "commit", c.name, "--tag", "never:1")
		if got := b.layerfs("layers", "-q"); got != layers {
			t.Errorf("%s: the commit that failed has made a layer: %s", c.name, got)
		}
		b.tidy()
	}
	if got := b.layerfs("images", "-q"); got != "" {
		t.Errorf("an image was made: %s", got)
	}
	if r := b.exec("layerfs", "check"); r.code != 5 || !strings.Contains(r.out, "opt") && !strings.Contains(r.out, "content") {
		t.Errorf("check does not see what was removed: %v", r)
	}
}

// TestEpoch: a SOURCE_DATE_EPOCH that is none is wrong usage, not ignored.
func TestEpoch(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.layerfs("create", "--name", "w", b.registerBase())
	env := b.env
	for _, value := range []string{"x", "1.5", "-1", "1e9", " 1", "253402300800", "99999999999999999999"} {
		b.env = append(env[:len(env):len(env)], "SOURCE_DATE_EPOCH="+value)
		b.refused(2, []string{"SOURCE_DATE_EPOCH", value}, "diff", "w")
		b.refused(2, []string{"SOURCE_DATE_EPOCH", value}, "commit", "w")
	}
	for _, value := range []string{"", "0", "253402300799"} {
		b.env = append(env[:len(env):len(env)], "SOURCE_DATE_EPOCH="+value)
		b.layerfs("diff", "w", "-o", b.path("diff.tar"))
		b.layerfs("commit", "w", "--tag", "w:1")
	}
	b.healthy()
}

// TestLargeFile: a size over 8 GiB does not fit into a ustar header. Holes are zeros in a layer.
func TestLargeFile(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	at := b.mount("w", b.registerBase())
	b.sh(`truncate -s 9G "$1"/large; touch -d @0 "$1"/large; layerfs diff w 2> said | head -c 8192 > head.tar`, at)
	got := b.sh(`python3 -c 'import tarfile
for m in tarfile.open("head.tar"):
    if m.name == "large":
        print(m.size, m.pax_headers)
        break'`)
	if want := "9663676416 {'size': '9663676416'}\n"; got != want {
		t.Errorf("the header says %s, want %s", got, want)
	}
	b.umount("w")
}
