package unionfs

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// Copy-up gives a lower object a part in the upper: its attributes, never its
// data. A regular file becomes a sparse file of the right size that is marked
// metacopy, and its content is still read from the lower; fill copies it when
// it is going to be changed.

// upper returns the node of o, with an upper part. FS.mu is held alone.
func (f *FS) upper(o object) (*node, error) {
	o = f.present(o)
	if o.n != nil && o.n.backing != 0 {
		return o.n, nil
	}
	if o.n != nil {
		return o.n, f.copyUpRemoved(o.n)
	}
	i := o.low
	if f.meta(o).isDir() {
		return f.upperDir(o)
	}
	links, err := f.visible(i)
	if err != nil {
		return nil, err
	}
	switch {
	case len(links) == 0:
		return nil, syscall.ESTALE
	case f.lower.Attr(i).Nlink == 1:
		return f.copyUpFile(i, links[0])
	}
	return f.copyUpGroup(i, links)
}

// upperDir is upper for directories; ENOENT for a removed one. It also loads
// the directory.
func (f *FS) upperDir(o object) (*node, error) {
	n := f.present(o).n
	if n == nil {
		if o.low == tarindex.Root {
			return nil, syscall.EROFS
		}
		parent, ok, err := f.lowerDirectory(f.lower.Parent(o.low))
		if err == nil && !ok {
			err = syscall.ENOENT
		}
		if err != nil {
			return nil, err
		}
		p, err := f.upperDir(parent)
		if err != nil {
			return nil, err
		}
		if n, err = f.copyUpDir(p, f.lowerNames(o.low)[0].Name, o.low); err != nil {
			return nil, err
		}
	}
	if f.removed(n) {
		return nil, syscall.ENOENT
	}
	return n, f.load(n)
}

func (f *FS) copyUpDir(p *node, name string, i tarindex.Ino) (*node, error) {
	tmp, ino, err := f.stubDir(i)
	if err != nil {
		return nil, err
	}
	ctime, err := f.publishDir(tmp, p, name)
	if err != nil {
		f.discard(tmp)
		return nil, err
	}
	n := f.lowerNode(i, ino)
	n.dir = newDirectory()
	n.quiet = quiet{disk: ctime, shown: f.lower.Attr(i).Mtime}
	n = f.table.add(n, place{p, name})
	p.dir.set(name, n, true)
	return n, nil
}

// lowerNode makes the node of a lower inode that got an upper part.
func (f *FS) lowerNode(i tarindex.Ino, backing uint64) *node {
	n := &node{id: lowerID(i), low: int64(i), meta: lowerMeta(f.lower.Attr(i)), backing: backing}
	f.noteLowerXattrs(n, i)
	return n
}

// finishCopy gives the file at l, in the work directory, the attributes of the
// lower inode i and the given xattrs, and returns the number of its inode.
func (f *FS) finishCopy(l location, i tarindex.Ino, xattrs []tarindex.Xattr) (uint64, error) {
	a := f.lower.Attr(i)
	ino, err := f.dress(l, lowerMeta(a), xattrs)
	if err != nil {
		return 0, err
	}
	t := timespec(a.Mtime)
	return ino, l.utimes(t, t)
}

// stubDir makes the directory that stands for the lower directory i in the work
// directory.
func (f *FS) stubDir(i tarindex.Ino) (tmp string, ino uint64, err error) {
	tmp = f.temp()
	if err := unix.Mkdirat(f.work.fd, tmp, lowerMeta(f.lower.Attr(i)).backingPerm()); err != nil {
		return "", 0, err
	}
	if ino, err = f.finishCopy(location{d: f.work, name: tmp}, i, f.lowerXattrs(i)); err != nil {
		f.discard(tmp)
	}
	return tmp, ino, err
}

// stub makes the file that stands for the lower inode i in the work directory.
func (f *FS) stub(i tarindex.Ino) (tmp string, ino uint64, err error) {
	a := f.lower.Attr(i)
	m := lowerMeta(a)
	tmp = f.temp()
	file, err := openat(f.work.fd, tmp, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, m.backingPerm())
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	xattrs := append(f.lowerXattrs(i), tarindex.Xattr{Name: xattrOrigin, Value: formatOrigin(i)})
	switch {
	case m.typ() == unix.S_IFLNK:
		_, err = file.WriteString(f.lower.Readlink(i))
	case m.isReg() && a.Size > 0:
		xattrs = append(xattrs, tarindex.Xattr{Name: xattrMetacopy})
		err = unix.Ftruncate(int(file.Fd()), a.Size)
	}
	if err == nil {
		ino, err = f.finishCopy(location{d: f.work, name: tmp}, i, xattrs)
	}
	if err != nil {
		f.discard(tmp)
	}
	return tmp, ino, err
}

func (f *FS) stubNode(i tarindex.Ino, backing uint64) *node {
	n := f.lowerNode(i, backing)
	n.metacopy.Store(n.isReg() && f.lower.Attr(i).Size > 0)
	return n
}

func (f *FS) copyUpFile(i tarindex.Ino, l tarindex.Link) (*node, error) {
	p, err := f.upperOf(l.Dir)
	if err != nil {
		return nil, err
	}
	tmp, ino, err := f.stub(i)
	if err != nil {
		return nil, err
	}
	if err := f.keepTimes(p, func(at *descriptor) error {
		return unix.Renameat2(f.work.fd, tmp, at.fd, l.Name, unix.RENAME_NOREPLACE)
	}); err != nil {
		f.discard(tmp)
		return nil, err
	}
	n := f.table.add(f.stubNode(i, ino), place{p, l.Name})
	p.dir.set(l.Name, n, true)
	return n, nil
}

// upperOf returns the node of the visible lower directory i.
func (f *FS) upperOf(i tarindex.Ino) (*node, error) {
	o, ok, err := f.lowerDirectory(i)
	if err == nil && !ok {
		err = syscall.ENOENT
	}
	if err != nil {
		return nil, err
	}
	return f.upperDir(o)
}

// copyUpGroup copies a lower inode with several names up under all that can
// still be seen, so that it stays one file. The directories come first, because
// they may be done in part; the name group-N in the work directory then says
// that the rest has to be finished whatever happens (see recover).
func (f *FS) copyUpGroup(i tarindex.Ino, links []tarindex.Link) (*node, error) {
	for _, l := range links {
		if _, err := f.upperOf(l.Dir); err != nil {
			return nil, err
		}
	}
	tmp, ino, err := f.stub(i)
	if err != nil {
		return nil, err
	}
	group := groupPrefix + string(formatOrigin(i))
	if err := unix.Renameat2(f.work.fd, tmp, f.work.fd, group, unix.RENAME_NOREPLACE); err != nil {
		f.discard(tmp)
		return nil, err
	}
	n := f.stubNode(i, ino)
	for k, l := range links {
		if err := f.linkGroup(group, l); err != nil {
			f.unlinkGroup(group, links[:k])
			return nil, err
		}
	}
	for _, l := range links {
		p := f.table.get(lowerID(l.Dir))
		n = f.table.add(n, place{p, l.Name})
		p.dir.set(l.Name, n, true)
	}
	f.discard(group)
	return n, nil
}

// linkGroup gives the file group of the work directory one of its names.
func (f *FS) linkGroup(group string, l tarindex.Link) error {
	p, err := f.upperOf(l.Dir)
	if err != nil {
		return err
	}
	return f.keepTimes(p, func(at *descriptor) error {
		return unix.Linkat(f.work.fd, group, at.fd, l.Name, 0)
	})
}

// unlinkGroup takes back what linkGroup did, the name in the work directory
// last. Should that fail, too, the next New finishes the group.
func (f *FS) unlinkGroup(group string, links []tarindex.Link) {
	for _, l := range links {
		p, err := f.upperOf(l.Dir)
		if err == nil {
			err = f.keepTimes(p, func(at *descriptor) error { return unix.Unlinkat(at.fd, l.Name, 0) })
		}
		if err != nil {
			return
		}
	}
	f.discard(group)
}

// copyUpRemoved gives a lower object that has no name any more, but is still in
// use, an upper part without a name.
func (f *FS) copyUpRemoved(n *node) error {
	i, _ := n.lowIno()
	copyUp := f.stub
	if n.isDir() {
		copyUp = f.stubDir
	}
	tmp, ino, err := copyUp(i)
	if err != nil {
		return err
	}
	defer f.discard(tmp)
	pin, err := openat(f.work.fd, tmp, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	n.pin = newDescriptor(pin)
	n.backing = ino
	n.metacopy.Store(n.isReg() && f.lower.Attr(i).Size > 0)
	return nil
}

// dress gives the upper object at l, which nobody sees yet, what the union
// shall show of it, and returns the number of its inode.
func (f *FS) dress(l location, m meta, xattrs []tarindex.Xattr) (uint64, error) {
	for _, x := range xattrs {
		if err := l.setxattr(x.Name, x.Value, 0); err != nil {
			return 0, noSpace(err)
		}
	}
	if f.owner.needsOverride(m) {
		if err := l.setxattr(xattrOverride, []byte(m.override()), 0); err != nil {
			return 0, err
		}
	}
	st, err := l.stat()
	if err != nil {
		return 0, err
	}
	if perm := m.backingPerm(); st.Mode&0o7777 != perm { // a umask, or a default ACL of the backing directory
		return st.Ino, l.chmod(perm)
	}
	return st.Ino, nil
}

// noSpace maps the errors by which file systems say that a set of extended
// attributes is too large for them to the one that users know.
func noSpace(err error) error {
	if errors.Is(err, syscall.E2BIG) || errors.Is(err, syscall.ERANGE) || errors.Is(err, os.ErrInvalid) {
		return syscall.ENOSPC
	}
	return err
}

// lowerXattrs returns the extended attributes of a lower inode under the names
// by which the upper stores them.
func (f *FS) lowerXattrs(i tarindex.Ino) []tarindex.Xattr {
	xattrs := f.lower.Xattrs(i)
	for k := range xattrs {
		xattrs[k].Name = storedName(xattrs[k].Name)
	}
	return xattrs
}

func (f *FS) noteLowerXattrs(n *node, i tarindex.Ino) {
	var k marks
	for _, x := range f.lowerXattrs(i) {
		k.note(x.Name)
	}
	n.xattrs, n.caps, n.acl = k.xattrs, k.caps, k.acl
}
