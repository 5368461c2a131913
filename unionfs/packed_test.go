package unionfs

import (
	"crypto/sha256"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// packedBody makes a file whose content lies among neighbours.
func packedBody(size int) string {
	for i := 0; ; i++ {
		body := strconv.Itoa(i) + strings.Repeat("x", size)
		if body = body[:size]; packed(tarindex.Hash(sha256.Sum256([]byte(body))), int64(size)) {
			return body
		}
	}
}

// Nothing that reads a content among others sees more than the content, wherever it begins to read.
func TestNeighboursAreNeverSeen(t *testing.T) {
	const size = 10_000
	body := packedBody(size)
	u := newUnion(t, file("f", body), file("to", "to"), file("cut", body), file("copied", body))
	id := u.id("/f")
	for _, off := range []int64{0, 1, 4096, size - 1, size, size + 1, 1 << 40} {
		b := make([]byte, 2*size)
		n, err := u.Read(id, b, off)
		if want := body[min(off, size):]; err != nil || string(b[:n]) != want {
			t.Errorf("read at %d: %d bytes, %v; want %d of the file", off, n, err, len(want))
		}
	}
	for _, c := range []struct {
		off, data, hole int64
		err             error
	}{
		{0, 0, size, nil}, {5000, 5000, size, nil}, {size - 1, size - 1, size, nil},
		{size, 0, 0, syscall.ENXIO}, {-1, 0, 0, syscall.ENXIO},
	} {
		data, dataErr := u.Lseek(id, c.off, unix.SEEK_DATA)
		hole, holeErr := u.Lseek(id, c.off, unix.SEEK_HOLE)
		if data != c.data || hole != c.hole || dataErr != c.err || holeErr != c.err {
			t.Errorf("at %d: data at %d (%v), hole at %d (%v); want %d, %d, %v", c.off, data, dataErr, hole, holeErr, c.data, c.hole, c.err)
		}
	}
	for _, off := range []int64{size + 5, size, size - 10, 0} {
		n, err := u.CopyFileRange(nil, id, off, u.id("/to"), 2, 3*size, false)
		if want := max(0, size-off); err != nil || n != want {
			t.Errorf("copy from %d: %d, %v; want %d", off, n, err, want)
		}
	}
	if got := u.read("/to"); got != "to"+body {
		t.Errorf("the copy has %d bytes; want the file's %d behind 2 others", len(got), size)
	}

	// A file that was cut off before its data was copied up: what was cut off does not come back.
	u.ok(u.truncate("/cut", 5000))
	u.ok(u.truncate("/cut", 8000))
	if got := u.read("/cut"); got != body[:5000]+strings.Repeat("\x00", 3000) {
		t.Error("a file cut off and grown again shows something else")
	}
	u.ok(u.pwrite("/copied", "!", size))
	if got := u.read("/copied"); got != body+"!" {
		t.Errorf("the copied up file has %d bytes", len(got))
	}
	u.settle()
}
