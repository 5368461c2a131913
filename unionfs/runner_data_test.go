package unionfs

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// data runs an operation on the data of n.
func (r *runner) data(o op, n *mnode, id uint64, to *mnode, id2 uint64) (syscall.Errno, error) {
	want := n.forData()
	switch o.kind {
	case "write":
		if want == 0 {
			n.write([]byte(o.text), o.n, o.flag)
		}
		done, err := r.Write(nil, id, []byte(o.text), o.n, o.flag)
		if err == nil && done != len(o.text) {
			err = fmt.Errorf("wrote %d bytes of %d", done, len(o.text))
		}
		return want, err
	case "truncate":
		if want == 0 {
			n.truncate(o.size, o.flag)
		}
		_, err := r.Setattr(nil, id, SetAttr{Valid: SetSize, Size: o.size, KillPriv: o.flag})
		return want, err
	case "punch":
		if want == 0 {
			n.punch(o.n, o.size+1, o.flag)
		}
		return want, r.Fallocate(nil, id, o.n, o.size+1, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, o.flag)
	case "allocate":
		if want == 0 {
			n.dropPrivileges(o.flag)
			n.grow(o.n + o.size + 1)
			n.drifted = true
		}
		return want, r.Fallocate(nil, id, o.n, o.size+1, 0, o.flag)
	case "read":
		b := make([]byte, o.size)
		k, err := r.Read(id, b, o.n)
		if err == nil && !bytes.Equal(b[:k], n.read(o.n, len(b))) {
			err = fmt.Errorf("read %q, want %q", b[:k], n.read(o.n, len(b)))
		}
		return want, err
	case "seek":
		return want, r.seek(n, id, o.n)
	case "copy":
		if n == to || n.isReg() && o.n >= int64(len(n.data)) {
			return 0, nil // the kernel sees to overlaps, and asks for nothing behind the end
		}
		if to.forData() != 0 {
			want = to.forData()
		}
		k, err := r.CopyFileRange(nil, id, o.n, id2, o.n/2, o.size, o.flag)
		if want != 0 || err != nil {
			return want, err
		}
		p := n.read(o.n, int(o.size))
		if k > int64(len(p)) || k <= 0 && len(p) > 0 {
			return 0, fmt.Errorf("copied %d bytes of %d", k, len(p))
		}
		if k > 0 {
			to.write(p[:k], o.n/2, o.flag)
		}
		return 0, nil
	}
	return 0, fmt.Errorf("no operation %q", o.kind)
}

// seek checks that what is shown as a hole has nothing but zeros.
func (r *runner) seek(n *mnode, id uint64, off int64) error {
	size := int64(len(n.data))
	pos, err := r.Lseek(id, off, unix.SEEK_DATA)
	end := pos
	switch {
	case n.forData() != 0:
		return err
	case errors.Is(err, syscall.ENXIO):
		end, err = max(size, off), nil
	case err == nil && (pos < off || pos >= size):
		return fmt.Errorf("data at %d from %d of %d bytes", pos, off, size)
	}
	for _, b := range n.read(off, int(end-off)) {
		if b != 0 {
			return fmt.Errorf("data between %d and %d is not seen", off, end)
		}
	}
	hole, err2 := r.Lseek(id, off, unix.SEEK_HOLE)
	switch {
	case off >= size && !errors.Is(err2, syscall.ENXIO):
		return fmt.Errorf("a hole at %d behind the end: %v", hole, err2)
	case off < size && (err2 != nil || hole < off || hole > size):
		return fmt.Errorf("a hole at %d from %d of %d bytes: %v", hole, off, size, err2)
	}
	return err
}
