package unionfs

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// Setattr changes attributes and returns all of them. A change of owner clears
// setuid, setgid and file capabilities as chown(2) does. A change of size may
// copy data, which the closing of cancel interrupts (EINTR); cancel may be nil.
func (f *FS) Setattr(cancel <-chan struct{}, id uint64, s SetAttr) (Attr, error) {
	if s.Valid != 0 {
		if err := f.writable(); err != nil {
			return Attr{}, err
		}
	}
	if s.Valid&SetSize != 0 {
		if err := f.truncate(cancel, id, s.Size, s.KillPriv); err != nil {
			return Attr{}, err
		}
	}
	if s.Valid&^SetSize != 0 {
		if err := f.setAttr(id, s); err != nil {
			return Attr{}, err
		}
	}
	return f.Getattr(id)
}

// truncate sets the size of a file. Data that goes is not copied up before.
func (f *FS) truncate(cancel <-chan struct{}, id uint64, size int64, killPriv bool) error {
	if size < 0 {
		return syscall.EINVAL
	}
	n, d, err := f.forChange(id)
	if err != nil {
		return err
	}
	defer d.release()
	n.data.Lock()
	defer n.data.Unlock()
	if err := f.dropPrivileges(n, killPriv); err != nil {
		return err
	}
	if n.metacopy.Load() {
		var st unix.Stat_t
		if err := unix.Fstat(d.fd, &st); err != nil {
			return err
		}
		if size > st.Size {
			if err := f.fill(cancel, n, d); err != nil {
				return err
			}
		}
	}
	if err := retry(func() error { return unix.Ftruncate(d.fd, size) }); err != nil {
		return err
	}
	if size == 0 && n.metacopy.Load() {
		return f.endMetacopy(n, d)
	}
	return nil
}

// setAttr changes all but the size.
func (f *FS) setAttr(id uint64, s SetAttr) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, err := f.object(id)
	if err != nil {
		return err
	}
	return f.changeUpper(o, func(n *node, l location) error {
		if s.Valid&(SetMode|SetUID|SetGID) != 0 {
			if err := f.changeMeta(n, l, s); err != nil {
				return err
			}
		}
		if s.Valid&(SetAtime|SetMtime|SetAtimeNow|SetMtimeNow) != 0 {
			return l.utimes(stamp(s.Valid, SetAtimeNow, SetAtime, s.Atime), stamp(s.Valid, SetMtimeNow, SetMtime, s.Mtime))
		}
		return nil
	})
}

// changeUpper calls change with the upper part of o, which it copies up first.
// FS.mu is held alone.
func (f *FS) changeUpper(o object, change func(*node, location) error) error {
	n, err := f.upper(o)
	if err != nil {
		return err
	}
	n.quiet = quiet{}
	l, err := f.at(n)
	if err != nil {
		return err
	}
	defer l.release()
	return change(n, l)
}

func stamp(valid, now, set SetMask, t Time) unix.Timespec {
	switch {
	case valid&now != 0:
		return unix.Timespec{Nsec: unix.UTIME_NOW}
	case valid&set != 0:
		return timespec(t)
	}
	return unix.Timespec{Nsec: unix.UTIME_OMIT}
}

// changeMeta changes mode and owner.
func (f *FS) changeMeta(n *node, l location, s SetAttr) error {
	m := n.meta
	if s.Valid&(SetUID|SetGID) != 0 && !m.isDir() {
		if err := dropCapability(n, l); err != nil {
			return err
		}
		m = m.withoutPriv()
	}
	if s.Valid&SetMode != 0 {
		m.mode = m.typ() | s.Mode&0o7777
	}
	if s.Valid&SetUID != 0 {
		m.uid = s.UID
	}
	if s.Valid&SetGID != 0 {
		m.gid = s.GID
	}
	if s.Valid&SetMode != 0 && n.acl {
		if err := chmodACL(l, m.mode); err != nil {
			return err
		}
	}
	return f.setMeta(n, l, m)
}

// setMeta makes n show m. The order of steps keeps what a reader of the upper
// finds in between either old or new: the xattr is the truth where it is, else
// the inode.
func (f *FS) setMeta(n *node, l location, m meta) error {
	override := f.owner.needsOverride(m)
	if override {
		if err := l.setxattr(xattrOverride, []byte(m.override()), 0); err != nil {
			return err
		}
	}
	if err := l.chmod(m.backingPerm()); err != nil { // if only for its ctime
		return err
	}
	if !override {
		if err := l.removexattr(xattrOverride); err != nil && !errors.Is(err, syscall.ENODATA) {
			return err
		}
	}
	n.meta = m
	return nil
}

// dropCapability removes the file capabilities of n.
func dropCapability(n *node, l location) error {
	if !n.caps {
		return nil
	}
	if err := l.removexattr(storedName(xattrCapability)); err != nil && !errors.Is(err, syscall.ENODATA) {
		return err
	}
	n.caps = false
	return nil
}
