package e2e

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// contents lists the packs and content files of the store with inode, size and times: whatever
// is written, even with the same bytes, changes a line.
func (b *box) contents() []string {
	b.t.Helper()
	return lines(b.sh(`cd "$LAYERFS_ROOT"; find packs content -type f -printf '%p %i %s %T@ %C@\n' | sort`))
}

// pooled counts the contents of the store, each once, and their bytes: as docs/format-store.md
// says, read by Python.
func (b *box) pooled() (count, bytes float64) {
	b.t.Helper()
	out := strings.Fields(b.sh(`python3 -c '
import glob, hashlib, os, struct, sys
found = {}
for path in glob.glob(sys.argv[1] + "/content/*/*"):
    found[path[-65:].replace("/", "")] = os.path.getsize(path)
for path in glob.glob(sys.argv[1] + "/packs/*"):
    data = open(path, "rb").read()
    table, count = struct.unpack("<QQ", data[-64:-48])
    for at in range(table, table + 48 * count, 48):
        off, size = struct.unpack("<QQ", data[at + 32:at + 48])
        assert hashlib.sha256(data[off:off + size]).digest() == data[at:at + 32], path
        found[data[at:at + 32].hex()] = size
print(len(found), sum(found.values()))
' "$LAYERFS_ROOT"`))
	var n [2]float64
	for i := range n {
		var err error
		if n[i], err = strconv.ParseFloat(out[i], 64); err != nil {
			b.t.Fatal(err)
		}
	}
	return n[0], n[1]
}

// TestStoredOnce imports the same things again, under other names, in other packings and as parts
// of other images: only contents that are new may be written.
func TestStoredOnce(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.layerfs("import", filepath.Join(world.fixtures, "small.tar"))
	before := strings.Join(b.contents(), "\n")
	for _, args := range [][]string{
		{"import", filepath.Join(world.fixtures, "small.tar")},
		{"import", "--name", "other:1", filepath.Join(world.fixtures, "small.tar")},
		{"import", filepath.Join(world.fixtures, "oci-dir")}, // the same two layers
		{"register", filepath.Join(world.fixtures, "base.tar")},
	} {
		b.layerfs(args...)
		if got := strings.Join(b.contents(), "\n"); got != before {
			t.Errorf("%v wrote contents that were there:\n%s\nbefore:\n%s", args, got, before)
		}
	}

	// A rebuilt image: two files of the same bytes as before, elsewhere, and one new file.
	df := b.numbers("df", "--json")
	b.sh(`python3 -c '
import sys
sys.path.insert(0, sys.argv[1])
import make
same = b"the same bytes\n" * 100
with open("rebuilt.tar", "wb") as f:
    f.write(make.Layer().dir("./").file("moved", same, mode=0o600, mtime=1).file("copied", same, uid=5).file("new", b"new bytes\n").bytes())
' "$PY"`)
	b.layerfs("register", "rebuilt.tar")

	// What df says against what is there.
	files, bytes := b.pooled()
	after := b.numbers("df", "--json")
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"contents", after["contents"], files},
		{"contentBytes", after["contentBytes"], bytes},
		{"contents added", after["contents"] - df["contents"], 1},
		{"contentBytes added", after["contentBytes"] - df["contentBytes"], 10},
		{"layerBytes added", after["layerBytes"] - df["layerBytes"], 1500 + 1500 + 10},
	} {
		if c.got != c.want {
			t.Errorf("df: %s is %.0f, want %.0f", c.what, c.got, c.want)
		}
	}
	b.healthy()
}
