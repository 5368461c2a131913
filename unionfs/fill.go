package unionfs

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// fillChunk is how much is copied between two looks at whether to go on.
const fillChunk = 8 << 20

// forWriting copies the file id up with its data, and returns its node with
// n.data held shared, and its descriptor. The caller gives both back.
func (f *FS) forWriting(cancel <-chan struct{}, id uint64) (*node, *descriptor, error) {
	n, d, err := f.forChange(id)
	if err != nil {
		return nil, nil, err
	}
	n.data.RLock()
	for n.metacopy.Load() {
		n.data.RUnlock()
		n.data.Lock()
		err := f.fill(cancel, n, d)
		n.data.Unlock()
		if err != nil {
			d.release()
			return nil, nil, err
		}
		n.data.RLock()
	}
	return n, d, nil
}

// forChange returns the node of the regular file id, with an upper part, and
// its descriptor.
func (f *FS) forChange(id uint64) (*node, *descriptor, error) {
	if err := f.writable(); err != nil {
		return nil, nil, err
	}
	f.mu.RLock()
	n := f.table.get(id)
	if n != nil && n.backing != 0 && n.isReg() {
		defer f.mu.RUnlock()
		d, err := f.upperFile(n)
		return n, d, err
	}
	f.mu.RUnlock()

	f.mu.Lock()
	defer f.mu.Unlock()
	o, err := f.object(id)
	if err != nil {
		return nil, nil, err
	}
	switch m := f.meta(o); {
	case m.isDir():
		return nil, nil, syscall.EISDIR
	case !m.isReg():
		return nil, nil, syscall.EINVAL
	}
	if n, err = f.upper(o); err != nil {
		return nil, nil, err
	}
	d, err := f.upperFile(n)
	return n, d, err
}

// fill copies the data of a metacopy file up, if that has not been done. n.data
// is held alone and FS.mu is not, so that nobody else waits; the file may be
// renamed or removed meanwhile. Whoever reads it until the end gets the data of
// the lower, also after a crash, for the mark goes last.
func (f *FS) fill(cancel <-chan struct{}, n *node, d *descriptor) error {
	if !n.metacopy.Load() {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		return err
	}
	if err := f.copyLower(cancel, tarindex.Ino(n.low), d.fd, st.Size); err != nil {
		// Give the space back; the file stays the sparse one that it was.
		return errors.Join(err, unix.Ftruncate(d.fd, 0), unix.Ftruncate(d.fd, st.Size), setTimes(d.fd, &st))
	}
	if err := setTimes(d.fd, &st); err != nil {
		return err
	}
	if !f.volatile {
		if err := retry(func() error { return unix.Fdatasync(d.fd) }); err != nil {
			return err
		}
	}
	return f.endMetacopy(n, d)
}

// endMetacopy makes the data of the upper that of the file.
func (f *FS) endMetacopy(n *node, d *descriptor) error {
	if err := unix.Fremovexattr(d.fd, xattrMetacopy); err != nil && !errors.Is(err, syscall.ENODATA) {
		return err
	}
	n.metacopy.Store(false)
	return nil
}

func setTimes(fd int, st *unix.Stat_t) error {
	return location{d: &descriptor{fd: fd}}.utimes(st.Atim, st.Mtim)
}

// copyLower copies the first size bytes of a lower file to fd, a sparse file of
// that size.
func (f *FS) copyLower(cancel <-chan struct{}, i tarindex.Ino, fd int, size int64) error {
	src, err := f.lowerContent(i)
	if err != nil || src == nil {
		return err
	}
	defer src.release()
	whole := f.lower.Attr(i).Size
	if src.base != 0 {
		return copyData(cancel, src, 0, fd, min(size, whole))
	}
	if size == whole && unix.IoctlFileClone(fd, src.fd) == nil {
		return nil
	}
	for off := int64(0); off < size; {
		start, err := unix.Seek(src.fd, off, unix.SEEK_DATA)
		if errors.Is(err, syscall.ENXIO) || err == nil && start >= size {
			return nil // holes until the end
		}
		end := size
		if err == nil {
			if end, err = unix.Seek(src.fd, start, unix.SEEK_HOLE); err != nil {
				return err
			}
			end = min(end, size)
		} else {
			start = off // a file system that knows no holes
		}
		if err := copyData(cancel, src, start, fd, end); err != nil {
			return err
		}
		off = end
	}
	return nil
}

// copyData copies the bytes from off to end of a lower content to the same place
// of the file fd.
func copyData(cancel <-chan struct{}, src *descriptor, off int64, fd int, end int64) error {
	for off < end {
		if cancelled(cancel) {
			return syscall.EINTR
		}
		n, err := copyRange(src.fd, src.base+off, fd, off, min(fillChunk, end-off))
		if err != nil {
			return err
		}
		if n == 0 {
			return syscall.EIO // the content is shorter than the index says
		}
		off += n
	}
	return nil
}

func cancelled(cancel <-chan struct{}) bool {
	select {
	case <-cancel: // nil: never
		return true
	default:
		return false
	}
}

// copyRange copies up to size bytes in the kernel where it can; 0 at the end of
// the source.
func copyRange(from int, offFrom int64, to int, offTo, size int64) (int64, error) {
	var n int
	err := retry(func() (err error) {
		r, w := offFrom, offTo
		n, err = unix.CopyFileRange(from, &r, to, &w, int(size), 0)
		return err
	})
	switch {
	case err == nil && n > 0:
		return int64(n), nil
	case err == nil, errors.Is(err, syscall.EXDEV), errors.Is(err, syscall.EINVAL),
		errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EOPNOTSUPP):
		// Some file systems say 0 where they should say that they cannot.
		return copyBytes(from, offFrom, to, offTo, size)
	}
	return 0, err
}

func copyBytes(from int, offFrom int64, to int, offTo, size int64) (int64, error) {
	b := make([]byte, min(size, 1<<20))
	n, err := preadAll(from, b, offFrom)
	if err != nil {
		return 0, err
	}
	n, err = pwriteAll(to, b[:n], offTo)
	return int64(n), err
}

// pwriteAll writes all of p, or as much as there is room for.
func pwriteAll(fd int, p []byte, off int64) (int, error) {
	for done := 0; ; {
		var n int
		err := retry(func() (err error) {
			n, err = unix.Pwrite(fd, p[done:], off+int64(done))
			return err
		})
		if err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
		if done += n; n == 0 || done == len(p) {
			return done, nil
		}
	}
}
