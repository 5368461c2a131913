package unionfs

import (
	"errors"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// layerWhiteout begins the names by which a layer tar tells that a name is
// gone. A file of such a name could not be told from that.
const layerWhiteout = ".wh."

// Mknod makes a regular file, FIFO, socket or device (mode: S_IFMT | 07777) and
// takes a reference on it. A character device 0:0 is refused (EPERM), because
// it is a whiteout; so is a name that begins with ".wh." (EINVAL), because a
// layer tar cannot carry it.
func (f *FS) Mknod(c Cred, parent uint64, name string, mode, major, minor uint32) (Entry, error) {
	m := meta{mode: mode}
	switch m.typ() {
	case 0:
		m.mode |= unix.S_IFREG
	case unix.S_IFREG, unix.S_IFIFO, unix.S_IFSOCK:
	case unix.S_IFCHR, unix.S_IFBLK:
		if m.typ() == unix.S_IFCHR && major == 0 && minor == 0 {
			return Entry{}, syscall.EPERM
		}
		m.major, m.minor = major, minor
	default:
		return Entry{}, syscall.EINVAL
	}
	return f.create(c, parent, name, m, "")
}

// Mkdir makes a directory and takes a reference on it.
func (f *FS) Mkdir(c Cred, parent uint64, name string, mode uint32) (Entry, error) {
	return f.create(c, parent, name, meta{mode: unix.S_IFDIR | mode&0o7777}, "")
}

// Symlink makes a symbolic link and takes a reference on it.
func (f *FS) Symlink(c Cred, parent uint64, name, target string) (Entry, error) {
	switch {
	case target == "":
		return Entry{}, syscall.ENOENT
	case len(target) >= unix.PathMax:
		return Entry{}, syscall.ENAMETOOLONG
	}
	return f.create(c, parent, name, meta{mode: unix.S_IFLNK | 0o777}, target)
}

// newName finds the directory parent with an upper part, and checks that name
// can be made in it. FS.mu is held alone.
func (f *FS) newName(parent uint64, name string) (*node, error) {
	d, err := f.directory(parent)
	if err != nil {
		return nil, err
	}
	if err := checkNewName(name); err != nil {
		return nil, err
	}
	if _, ok, err := f.child(d, name); err != nil {
		return nil, err
	} else if ok {
		return nil, syscall.EEXIST
	}
	p, err := f.upperDir(d)
	if err == nil {
		p.quiet = quiet{}
	}
	return p, err
}

func checkNewName(name string) error {
	if name == "." || name == ".." {
		return syscall.EEXIST
	}
	if strings.HasPrefix(name, layerWhiteout) {
		return syscall.EINVAL
	}
	return checkName(name)
}

func (f *FS) create(c Cred, parent uint64, name string, m meta, target string) (Entry, error) {
	if err := f.writable(); err != nil {
		return Entry{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.newName(parent, name)
	if err != nil {
		return Entry{}, err
	}
	m, xattrs, err := f.inherit(c, p, m)
	if err != nil {
		return Entry{}, err
	}
	n, err := f.make(p, name, m, xattrs, target)
	if err != nil {
		return Entry{}, err
	}
	n = f.table.add(n, place{p, name})
	p.dir.set(name, n, f.inLower(p, name))
	if n.isDir() {
		p.dir.subdirs++
	}
	return f.entry(object{n: n})
}

// inherit completes the attributes of a new object in p: owner, umask or
// default ACL, what a setgid directory passes on.
func (f *FS) inherit(c Cred, p *node, m meta) (meta, []tarindex.Xattr, error) {
	m.uid, m.gid = c.UID, c.GID
	if p.mode&unix.S_ISGID != 0 {
		m.gid = p.gid
		if m.isDir() {
			m.mode |= unix.S_ISGID
		}
	}
	if m.typ() == unix.S_IFLNK {
		return m, nil, nil
	}
	v, err := f.xattr(object{n: p}, xattrDefaultACL)
	if errors.Is(err, syscall.ENODATA) {
		m.mode &^= c.Umask & 0o777
		return m, nil, nil
	}
	if err != nil {
		return m, nil, err
	}
	def, err := parseACL(v)
	if err != nil || len(def) == 0 {
		return m, nil, err
	}
	var xattrs []tarindex.Xattr
	access, mode := def.inherit(m.mode)
	m.mode = mode
	if access != nil {
		xattrs = append(xattrs, tarindex.Xattr{Name: storedName(xattrAccessACL), Value: access.bytes()})
	}
	if m.isDir() {
		xattrs = append(xattrs, tarindex.Xattr{Name: storedName(xattrDefaultACL), Value: v})
	}
	return m, xattrs, nil
}

// make makes a new object in the upper and publishes it, with its name and all
// its attributes in one step. Where the backing inode alone can say everything
// that step is its creation, else it is prepared in the work directory.
func (f *FS) make(p *node, name string, m meta, xattrs []tarindex.Xattr, target string) (*node, error) {
	dir, err := f.at(p)
	if err != nil {
		return nil, err
	}
	defer dir.release()
	if m.isDir() && f.inLower(p, name) {
		xattrs = append(xattrs, tarindex.Xattr{Name: xattrOpaque, Value: []byte("y")})
	}
	_, whiteout := p.dir.entries[name]
	if !whiteout && len(xattrs) == 0 && !f.owner.needsOverride(m) {
		return f.makeAt(location{d: dir.d, name: name}, m, nil, "")
	}
	tmp := f.temp()
	n, err := f.makeAt(location{d: f.work, name: tmp}, m, xattrs, target)
	if err != nil {
		return nil, err
	}
	if err := f.publish(tmp, dir.d, name, whiteout, m.isDir()); err != nil {
		f.discard(tmp)
		f.files.drop(descriptorKey{id: n.id})
		return nil, err
	}
	return n, nil
}

// publish moves what was prepared as tmp to its name, over a whiteout if there
// is one.
func (f *FS) publish(tmp string, dir *descriptor, name string, whiteout, isDir bool) error {
	switch {
	case !whiteout:
		return unix.Renameat2(f.work.fd, tmp, dir.fd, name, unix.RENAME_NOREPLACE)
	case !isDir:
		return unix.Renameat2(f.work.fd, tmp, dir.fd, name, 0)
	}
	if err := unix.Renameat2(f.work.fd, tmp, dir.fd, name, unix.RENAME_EXCHANGE); err != nil {
		return err
	}
	f.discard(tmp)
	return nil
}

// makeAt makes a new object at l and returns its node, which is not in the
// table yet.
func (f *FS) makeAt(l location, m meta, xattrs []tarindex.Xattr, target string) (*node, error) {
	file, err := makeBacking(l, m, target)
	if err != nil {
		return nil, err
	}
	ino, err := f.dress(l, m, xattrs)
	if err != nil {
		file.Close()
		_ = removeTree(l.d.fd, l.name)
		return nil, err
	}
	n := f.newNode(m, ino, xattrs)
	if !m.isReg() {
		file.Close()
		return n, nil
	}
	f.files.put(descriptorKey{id: n.id}, newDescriptor(file)).release() // it will be written next
	return n, nil
}

func (f *FS) newNode(m meta, backing uint64, xattrs []tarindex.Xattr) *node {
	n := &node{id: upperIDs + backing, generation: f.generation.Add(1), meta: m, low: -1, backing: backing}
	var k marks
	for _, x := range xattrs {
		k.note(x.Name)
	}
	n.xattrs, n.caps, n.acl = k.xattrs, k.caps, k.acl
	if m.isDir() {
		n.dir = newDirectory()
		n.dir.loaded.Store(true) // it is empty
	}
	return n
}

// makeBacking makes the directory or file, with its content, that stands for a
// new object. A directory is not opened.
func makeBacking(l location, m meta, target string) (*os.File, error) {
	if m.isDir() {
		return nil, unix.Mkdirat(l.d.fd, l.name, m.backingPerm())
	}
	file, err := openat(l.d.fd, l.name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_NOFOLLOW, m.backingPerm())
	if err != nil || target == "" {
		return file, err
	}
	if _, err = file.WriteString(target); err != nil {
		file.Close()
		return nil, errors.Join(err, unix.Unlinkat(l.d.fd, l.name, 0))
	}
	return file, nil
}

// Tmpfile makes a regular file without a name (O_TMPFILE) and takes a
// reference on it. Link may give it a name.
func (f *FS) Tmpfile(c Cred, parent uint64, mode uint32) (Entry, error) {
	if err := f.writable(); err != nil {
		return Entry{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := f.directory(parent)
	if err != nil {
		return Entry{}, err
	}
	p, err := f.upperDir(d)
	if err != nil {
		return Entry{}, err
	}
	m, xattrs, err := f.inherit(c, p, meta{mode: unix.S_IFREG | mode&0o7777})
	if err != nil {
		return Entry{}, err
	}
	file, err := openat(f.work.fd, ".", unix.O_TMPFILE|unix.O_RDWR, m.backingPerm())
	if err != nil {
		return Entry{}, err
	}
	pin := newDescriptor(file)
	ino, err := f.dress(location{d: pin}, m, xattrs)
	if err != nil {
		pin.release()
		return Entry{}, err
	}
	n := f.newNode(m, ino, xattrs)
	n.pin, n.linkable = pin, true
	return f.entry(object{n: f.table.add(n, place{})})
}
