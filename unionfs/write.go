package unionfs

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Write writes p into the regular file id, as pwrite(2). The first write to a
// file copies its data up, which the closing of cancel interrupts (EINTR);
// cancel may be nil. killPriv clears setuid and setgid, for callers without
// CAP_FSETID; file capabilities are always cleared.
func (f *FS) Write(cancel <-chan struct{}, id uint64, p []byte, off int64, killPriv bool) (int, error) {
	n, d, err := f.forWriting(cancel, id)
	if err != nil {
		return 0, err
	}
	defer d.release()
	defer n.data.RUnlock()
	if err := f.dropPrivileges(n, killPriv); err != nil {
		return 0, err
	}
	return pwriteAll(d.fd, p, off)
}

// dropPrivileges does to n what any change of its data does: file capabilities
// go, and with killPriv the setuid and setgid bits.
func (f *FS) dropPrivileges(n *node, killPriv bool) error {
	f.mu.RLock()
	nothing := !n.caps && !(killPriv && n.hasPriv())
	f.mu.RUnlock()
	if nothing {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	l, err := f.at(n)
	if err != nil {
		return err
	}
	defer l.release()
	if err := dropCapability(n, l); err != nil {
		return err
	}
	if killPriv && n.hasPriv() {
		return f.setMeta(n, l, n.withoutPriv())
	}
	return nil
}

// Fallocate is fallocate(2) with its mode bits; cancel and killPriv as in Write.
func (f *FS) Fallocate(cancel <-chan struct{}, id uint64, off, size int64, mode uint32, killPriv bool) error {
	n, d, err := f.forWriting(cancel, id)
	if err != nil {
		return err
	}
	defer d.release()
	defer n.data.RUnlock()
	if err := f.dropPrivileges(n, killPriv); err != nil {
		return err
	}
	return retry(func() error { return unix.Fallocate(d.fd, mode, off, size) })
}

// CopyFileRange is copy_file_range(2); it may copy less than size. cancel and
// killPriv as in Write.
func (f *FS) CopyFileRange(cancel <-chan struct{}, in uint64, offIn int64, out uint64, offOut, size int64, killPriv bool) (int64, error) {
	if size < 0 || offIn < 0 || offOut < 0 {
		return 0, syscall.EINVAL
	}
	n, d, err := f.forWriting(cancel, out)
	if err != nil {
		return 0, err
	}
	defer d.release()
	defer n.data.RUnlock()
	// After the copy-up, for both may be the same file.
	s, err := f.source(in)
	if err != nil || s.d == nil {
		return 0, err
	}
	defer s.release()
	if s.size >= 0 {
		size = max(0, min(size, s.size-offIn))
	}
	if size == 0 {
		return 0, nil
	}
	if err := f.dropPrivileges(n, killPriv); err != nil {
		return 0, err
	}
	return copyRange(s.d.fd, s.d.base+offIn, d.fd, offOut, min(size, 1<<30))
}

// Fsync makes id durable; dataOnly as fdatasync(2). Nothing to do for what has
// not been changed, and for a volatile union.
func (f *FS) Fsync(id uint64, dataOnly bool) error {
	if f.volatile || f.readOnly {
		return nil
	}
	d, err := f.forSync(id)
	if err != nil || d == nil {
		return err
	}
	defer d.release()
	if dataOnly {
		return retry(func() error { return unix.Fdatasync(d.fd) })
	}
	return retry(func() error { return unix.Fsync(d.fd) })
}

// forSync opens the upper part of id; nil if it has none.
func (f *FS) forSync(id uint64) (*descriptor, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	o, err := f.object(id)
	if err != nil || o.n == nil || o.n.backing == 0 {
		return nil, err
	}
	switch {
	case o.n.isReg():
		return f.upperFile(o.n)
	case o.n.isDir():
		l, err := f.at(o.n)
		if err != nil {
			return nil, err
		}
		defer l.release()
		return opened(l.open(unix.O_RDONLY | unix.O_DIRECTORY))
	}
	return nil, nil
}
