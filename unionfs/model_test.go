package unionfs

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A model is a POSIX tree in memory: as simple as can be, and with no thought
// of layers. A union is right when it cannot be told from one.
type model struct{ root *mnode }

// An mnode is an inode of the model.
type mnode struct {
	mode, uid, gid, major, minor uint32

	data     []byte
	target   string
	xattrs   map[string]string
	names    int               // links; a directory: 1 or 0
	linkable bool              // made without a name
	children map[string]*mnode // of a directory
	parent   *mnode

	mtime   Time
	touched bool // mtime is that of an operation, which only the union knows
	drifted bool // ... or it is still mtime; fallocate(2) leaves that open

	ino uint64 // 0: not known yet
}

func (n *mnode) typ() uint32   { return n.mode & unix.S_IFMT }
func (n *mnode) isDir() bool   { return n.typ() == unix.S_IFDIR }
func (n *mnode) isReg() bool   { return n.typ() == unix.S_IFREG }
func (n *mnode) removed() bool { return n.names == 0 }

func newMnode(mode, uid, gid uint32) *mnode {
	n := &mnode{mode: mode, uid: uid, gid: gid, xattrs: make(map[string]string), touched: true}
	if n.isDir() {
		n.children = make(map[string]*mnode)
	}
	return n
}

func (n *mnode) child(name string) (*mnode, syscall.Errno) {
	if !n.isDir() {
		return nil, syscall.ENOTDIR
	}
	if len(name) > 255 {
		return nil, syscall.ENAMETOOLONG
	}
	c := n.children[name]
	if c == nil {
		return nil, syscall.ENOENT
	}
	return c, 0
}

// free checks that name can be made in the directory d.
func (d *mnode) free(name string) syscall.Errno {
	switch {
	case !d.isDir():
		return syscall.ENOTDIR
	case strings.HasPrefix(name, ".wh."):
		return syscall.EINVAL
	case len(name) > 255:
		return syscall.ENAMETOOLONG
	case d.children[name] != nil:
		return syscall.EEXIST
	case d.removed():
		return syscall.ENOENT
	}
	return 0
}

func (d *mnode) put(name string, n *mnode) {
	d.children[name] = n
	n.names++
	if n.isDir() {
		n.parent = d
	}
	d.touched = true
}

func (d *mnode) drop(name string) {
	d.children[name].names--
	d.children[name].parent = nil
	delete(d.children, name)
	d.touched = true
}

func (d *mnode) create(name string, n *mnode) syscall.Errno {
	if errno := d.free(name); errno != 0 {
		return errno
	}
	if n.typ() == unix.S_IFCHR && n.major == 0 && n.minor == 0 {
		return syscall.EPERM
	}
	n.inherit(d)
	d.put(name, n)
	return 0
}

func (n *mnode) inherit(d *mnode) {
	if d.mode&unix.S_ISGID != 0 {
		n.gid = d.gid
		if n.isDir() {
			n.mode |= unix.S_ISGID
		}
	}
}

func (n *mnode) link(d *mnode, name string) syscall.Errno {
	if n.isDir() {
		return syscall.EPERM
	}
	if errno := d.free(name); errno != 0 {
		return errno
	}
	if n.removed() && !n.linkable {
		return syscall.ENOENT
	}
	n.linkable = false
	d.put(name, n)
	return 0
}

func (d *mnode) remove(name string, dir bool) syscall.Errno {
	n, errno := d.child(name)
	switch {
	case errno != 0:
		return errno
	case dir && !n.isDir():
		return syscall.ENOTDIR
	case !dir && n.isDir():
		return syscall.EISDIR
	case dir && len(n.children) > 0:
		return syscall.ENOTEMPTY
	}
	d.drop(name)
	return 0
}

// within reports whether n is top or below it.
func (n *mnode) within(top *mnode) bool {
	for ; n != nil; n = n.parent {
		if n == top {
			return true
		}
	}
	return false
}

func rename(from *mnode, oldName string, to *mnode, newName string, flags uint32) syscall.Errno {
	switch {
	case flags != 0 && flags != unix.RENAME_NOREPLACE && flags != unix.RENAME_EXCHANGE:
		return syscall.EINVAL
	case !from.isDir() || !to.isDir():
		return syscall.ENOTDIR
	}
	src, errno := from.child(oldName)
	if errno != 0 {
		return errno
	}
	dst := to.children[newName]
	exchange := flags == unix.RENAME_EXCHANGE
	switch errno := to.free(newName); {
	case errno == syscall.EINVAL || errno == syscall.ENAMETOOLONG:
		return errno
	case dst != nil && flags == unix.RENAME_NOREPLACE:
		return syscall.EEXIST
	case dst == nil && exchange:
		return syscall.ENOENT
	case src == dst:
		return 0
	case src.isDir() && to.within(src):
		return syscall.EINVAL
	case dst != nil && dst.isDir() && from.within(dst) && exchange:
		return syscall.EINVAL
	case dst != nil && dst.isDir() && from.within(dst):
		return syscall.ENOTEMPTY
	case dst == nil && to.removed():
		return syscall.ENOENT
	}
	if exchange {
		from.drop(oldName)
		to.drop(newName)
		from.put(oldName, dst)
		to.put(newName, src)
		return 0
	}
	if dst != nil {
		switch {
		case src.isDir() && !dst.isDir():
			return syscall.ENOTDIR
		case !src.isDir() && dst.isDir():
			return syscall.EISDIR
		case dst.isDir() && len(dst.children) > 0:
			return syscall.ENOTEMPTY
		}
		to.drop(newName)
	}
	from.drop(oldName)
	to.put(newName, src)
	return 0
}

// forData is the error of reading or writing what is no regular file.
func (n *mnode) forData() syscall.Errno {
	switch {
	case n.isDir():
		return syscall.EISDIR
	case !n.isReg():
		return syscall.EINVAL
	}
	return 0
}

func (n *mnode) dropPrivileges(kill bool) {
	delete(n.xattrs, "security.capability")
	if !kill {
		return
	}
	n.mode &^= unix.S_ISUID
	if n.mode&0o010 != 0 {
		n.mode &^= unix.S_ISGID
	}
}

func (n *mnode) write(p []byte, off int64, kill bool) {
	n.dropPrivileges(kill)
	n.grow(off + int64(len(p)))
	copy(n.data[off:], p)
	n.touched = true
}

func (n *mnode) grow(size int64) {
	if size > int64(len(n.data)) {
		n.data = append(n.data, make([]byte, size-int64(len(n.data)))...)
	}
}

func (n *mnode) truncate(size int64, kill bool) {
	n.dropPrivileges(kill)
	n.grow(size)
	n.data = slices.Clone(n.data[:size])
	n.touched = true
}

func (n *mnode) punch(off, size int64, kill bool) {
	n.dropPrivileges(kill)
	for i := off; i < min(off+size, int64(len(n.data))); i++ {
		n.data[i] = 0
	}
	n.drifted = true
}

func (n *mnode) read(off int64, size int) []byte {
	off = min(off, int64(len(n.data)))
	return n.data[off:min(off+int64(size), int64(len(n.data)))]
}

func (n *mnode) chmod(mode uint32) { n.mode = n.typ() | mode&0o7777 }

func (n *mnode) chown(uid, gid uint32) {
	n.uid, n.gid = uid, gid
	if !n.isDir() {
		n.dropPrivileges(true)
	}
}

func (n *mnode) utimens(t Time) { n.mtime, n.touched, n.drifted = t, false, false }

func (n *mnode) setxattr(name, value string, flags int) syscall.Errno {
	_, ok := n.xattrs[name]
	switch {
	case !strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "security.") && !strings.HasPrefix(name, "trusted."):
		return syscall.EOPNOTSUPP
	case strings.HasPrefix(name, "user.") && !n.isDir() && !n.isReg():
		return syscall.EPERM
	case ok && flags == unix.XATTR_CREATE:
		return syscall.EEXIST
	case !ok && flags == unix.XATTR_REPLACE:
		return syscall.ENODATA
	}
	n.xattrs[name] = value
	return 0
}

func (n *mnode) removexattr(name string) syscall.Errno {
	if _, ok := n.xattrs[name]; !ok {
		return syscall.ENODATA
	}
	delete(n.xattrs, name)
	return 0
}

// see describes n but for Names.
func (n *mnode) see() thing {
	g := thing{
		Mode: n.mode, UID: n.uid, GID: n.gid, Major: n.major, Minor: n.minor, Nlink: uint32(n.names),
		Mtime: n.mtime, Xattrs: xattrString(n.xattrs), Ino: n.ino,
	}
	switch n.typ() {
	case unix.S_IFDIR:
		if g.Nlink = 0; !n.removed() {
			g.Nlink = 2
			for _, c := range n.children {
				if c.isDir() {
					g.Nlink++
				}
			}
		}
	case unix.S_IFLNK:
		g.Size, g.Data = int64(len(n.target)), digestLong([]byte(n.target))
	case unix.S_IFREG:
		g.Size, g.Data = int64(len(n.data)), digestLong(n.data)
	}
	return g
}

// each calls f for every path, a directory before what is in it.
func (m *model) each(f func(p string, n *mnode)) {
	var walk func(p string, n *mnode)
	walk = func(p string, n *mnode) {
		f(p, n)
		for _, name := range slices.Sorted(maps.Keys(n.children)) {
			walk(path.Join(p, name), n.children[name])
		}
	}
	walk("/", m.root)
}

func (m *model) view() view {
	v := make(view)
	numbers := make(map[*mnode]uint64) // for those whose number is not known
	m.each(func(p string, n *mnode) {
		g := n.see()
		if g.Ino == 0 {
			if numbers[n] == 0 {
				numbers[n] = 1<<60 + uint64(len(numbers))
			}
			g.Ino = numbers[n]
		}
		v[p] = g
	})
	v.nameGroups()
	return v
}

func (n *mnode) String() string { return fmt.Sprintf("%06o ino %d", n.mode, n.ino) }
