package unionfs

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	dirSize   = 4096 // the size that directories show
	blockSize = 4096 // the preferred size of I/O
)

// Lookup finds name in the directory parent and takes one reference on what it
// finds. "." and ".." work for every directory, "." for every known id. Errors:
// ENOENT, ENOTDIR, ENAMETOOLONG (more than 255 bytes).
func (f *FS) Lookup(parent uint64, name string) (Entry, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	o, err := f.lookup(parent, name)
	if err != nil {
		return Entry{}, err
	}
	return f.entry(o)
}

func (f *FS) lookup(parent uint64, name string) (object, error) {
	if name == "." {
		return f.object(parent)
	}
	d, err := f.directory(parent)
	if err != nil {
		return object{}, err
	}
	if name == ".." {
		return f.parent(d)
	}
	if len(name) > unix.NAME_MAX {
		return object{}, syscall.ENAMETOOLONG
	}
	o, ok, err := f.child(d, name)
	if err == nil && !ok {
		err = syscall.ENOENT
	}
	return o, err
}

// entry returns the entry of o and takes a reference on it.
func (f *FS) entry(o object) (Entry, error) {
	a, err := f.attr(o)
	if err != nil {
		return Entry{}, err
	}
	f.ref(o.id(), 1)
	return f.peek(o, a), nil
}

func (f *FS) peek(o object, a Attr) Entry {
	e := Entry{ID: o.id(), Attr: a}
	if o.n != nil {
		e.Generation = o.n.generation
	}
	return e
}

// Getattr returns the attributes of id.
func (f *FS) Getattr(id uint64) (Attr, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	o, err := f.object(id)
	if err != nil {
		return Attr{}, err
	}
	return f.attr(o)
}

func (f *FS) attr(o object) (Attr, error) {
	if o.n == nil || o.n.backing == 0 {
		return f.lowerAttr(o)
	}
	return f.upperAttr(o.n)
}

func (f *FS) lowerAttr(o object) (Attr, error) {
	i, _ := o.lowerPart()
	x := f.lower.Attr(i)
	a := Attr{
		Ino: o.id(), Mode: x.Mode, Nlink: x.Nlink, UID: x.UID, GID: x.GID, Major: x.Major, Minor: x.Minor,
		Size: x.Size, Blocks: uint64(x.Size+511) / 512, Blksize: blockSize,
		Atime: x.Mtime, Mtime: x.Mtime, Ctime: x.Mtime,
	}
	switch {
	case o.n != nil: // removed
		a.Nlink = 0
	case x.IsDir():
	case x.Nlink > 1 && f.root != nil:
		names, err := f.visible(i)
		if err != nil {
			return a, err
		}
		a.Nlink = uint32(len(names))
	}
	if x.IsDir() {
		a.Size, a.Blocks = dirSize, dirSize/512
	}
	return a, nil
}

func (f *FS) upperAttr(n *node) (Attr, error) {
	l, err := f.at(n)
	if err != nil {
		return Attr{}, err
	}
	defer l.release()
	st, err := l.stat()
	if err != nil {
		return Attr{}, err
	}
	a := Attr{
		Ino: n.id, Mode: n.mode, Nlink: uint32(st.Nlink), UID: n.uid, GID: n.gid, Major: n.major, Minor: n.minor,
		Blksize: blockSize,
		Atime:   timeOf(st.Atim), Mtime: timeOf(st.Mtim), Ctime: n.ctime(timeOf(st.Ctim)),
	}
	switch n.typ() {
	case unix.S_IFDIR:
		a.Size, a.Blocks, a.Nlink = dirSize, dirSize/512, 0
		if !f.removed(n) {
			if err := f.load(n); err != nil {
				return a, err
			}
			a.Nlink = 2 + uint32(n.dir.subdirs)
		}
	case unix.S_IFREG:
		a.Size, a.Blocks = st.Size, uint64(st.Blocks)
		if n.metacopy.Load() {
			a.Blocks = uint64(st.Size+511) / 512
		}
	case unix.S_IFLNK:
		a.Size = st.Size
	}
	return a, nil
}

func timeOf(t unix.Timespec) Time { return Time{Sec: t.Sec, Nsec: uint32(t.Nsec)} }

// Readlink returns the target of the symbolic link id; EINVAL for others.
func (f *FS) Readlink(id uint64) (string, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	o, err := f.object(id)
	if err != nil {
		return "", err
	}
	if f.meta(o).typ() != unix.S_IFLNK {
		return "", syscall.EINVAL
	}
	return f.target(o)
}

// target returns the target of the symbolic link o. FS.mu is held.
func (f *FS) target(o object) (string, error) {
	if i, ok := o.lowerPart(); ok { // a link's target never changes
		return f.lower.Readlink(i), nil
	}
	l, err := f.at(o.n)
	if err != nil {
		return "", err
	}
	defer l.release()
	return readlink(l)
}

// readlink reads the target of a stub, or of a real symbolic link that somebody
// else has put into the upper.
func readlink(l location) (string, error) {
	file, err := l.open(unix.O_RDONLY)
	b := make([]byte, unix.PathMax)
	if err == syscall.ELOOP {
		n, err := unix.Readlinkat(l.d.fd, l.name, b)
		return string(b[:max(n, 0)]), err
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	n, err := preadAll(int(file.Fd()), b, 0)
	return string(b[:n]), err
}
