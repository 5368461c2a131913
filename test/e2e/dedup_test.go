package e2e

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// contents lists the content files of the store with inode, size and times: whatever is
// written, even with the same bytes, changes a line.
func (b *box) contents() []string {
	b.t.Helper()
	return lines(b.sh(`find "$LAYERFS_ROOT"/content -type f -printf '%P %i %s %T@ %C@\n' | sort`))
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
	b.sh(`python3 -c '
import os, sys
sys.path.insert(0, sys.argv[1])
import make
same = b"the same bytes\n" * 100
with open("rebuilt.tar", "wb") as f:
    f.write(make.Layer().dir("./").file("moved", same, mode=0o600, mtime=1).file("copied", same, uid=5).file("new", b"new bytes\n").bytes())
' "$PY"`)
	b.layerfs("register", "rebuilt.tar")
	if added := len(b.contents()) - len(strings.Split(before, "\n")); added != 1 {
		t.Errorf("a layer with one new content added %d", added)
	}

	// What df says against what find finds.
	var files, bytes int
	for _, line := range b.contents() {
		size, err := strconv.Atoi(strings.Fields(line)[2])
		if err != nil {
			t.Fatal(err)
		}
		files, bytes = files+1, bytes+size
	}
	df := b.numbers("df", "--json")
	wantNumber(t, df, "files of the pool", files)
	wantNumber(t, df, "bytes of the pool", bytes)
	// /lib/same1 and 2 are in the base once; the layer has the same bytes twice more.
	b.healthy()
}

// wantNumber looks for a value among the numbers of a JSON object, under whatever name.
func wantNumber(t *testing.T, numbers map[string]float64, what string, want int) {
	t.Helper()
	for _, n := range numbers {
		if int(n) == want {
			return
		}
	}
	t.Errorf("%s: %d, not among %v", what, want, numbers)
}
