package unionfs

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Unlink removes a name of what is no directory. It never copies data.
func (f *FS) Unlink(parent uint64, name string) error { return f.remove(parent, name, false) }

// Rmdir removes an empty directory.
func (f *FS) Rmdir(parent uint64, name string) error { return f.remove(parent, name, true) }

func (f *FS) remove(parent uint64, name string, dir bool) error {
	if err := f.writable(); err != nil {
		return err
	}
	if name == "." || name == ".." {
		return syscall.EINVAL
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := f.directory(parent)
	if err != nil {
		return err
	}
	o, err := f.lookup(parent, name)
	if err != nil {
		return err
	}
	switch isDir := f.meta(o).isDir(); {
	case dir && !isDir:
		return syscall.ENOTDIR
	case !dir && isDir:
		return syscall.EISDIR
	case dir:
		if err := f.checkEmpty(o); err != nil {
			return err
		}
	}
	p, err := f.upperDir(d)
	if err != nil {
		return err
	}
	p.quiet = quiet{}
	return f.removeName(p, name, o)
}

// checkEmpty is ENOTEMPTY for a directory with names in it.
func (f *FS) checkEmpty(d object) error {
	empty := true
	err := f.names(d, 0, func(string, object, uint64) bool {
		empty = false
		return false
	})
	if err == nil && !empty {
		err = syscall.ENOTEMPTY
	}
	return err
}

// removeName removes name, which leads to o, from the loaded upper directory p.
// On disk it is one step: what shows a name is replaced by what hides it.
func (f *FS) removeName(p *node, name string, o object) error {
	at, err := f.openDir(p)
	if err != nil {
		return err
	}
	defer at.release()
	undo, err := f.keepAlive(p, name, o)
	if err != nil {
		return err
	}
	covers := f.inLower(p, name)
	switch {
	case o.n == nil:
		err = f.whiteout(p, at, name, true)
	case o.n.isDir():
		err = f.removeDir(p, at, name, covers)
	case covers:
		err = f.whiteout(p, at, name, false)
	default:
		err = unix.Unlinkat(at.fd, name, 0)
	}
	if err != nil {
		undo()
		return err
	}
	return f.forgetName(p, name, o, covers)
}

// removeDir removes the upper directory name from p. Whiteouts may be left in
// it, so it goes to the work directory first.
func (f *FS) removeDir(p *node, at *descriptor, name string, covers bool) error {
	if !covers {
		err := unix.Unlinkat(at.fd, name, unix.AT_REMOVEDIR)
		if !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
		tmp := f.temp()
		if err := unix.Renameat2(at.fd, name, f.work.fd, tmp, unix.RENAME_NOREPLACE); err != nil {
			return err
		}
		f.discard(tmp)
		return nil
	}
	tmp, err := f.prepareWhiteout(p)
	if err != nil {
		return err
	}
	err = unix.Renameat2(f.work.fd, tmp, at.fd, name, unix.RENAME_EXCHANGE)
	f.discard(tmp)
	return err
}

// keepAlive prepares for o to lose name: what is still in use has to stay
// reachable when it has no name that we know. undo takes that back.
func (f *FS) keepAlive(p *node, name string, o object) (undo func(), err error) {
	undo = func() {}
	if o.n == nil || o.n.pin != nil || f.ref(o.id(), 0) == 0 || !f.table.onlyPlace(o.n, place{p, name}) {
		return undo, nil
	}
	l, err := f.at(o.n)
	if err != nil {
		return undo, err
	}
	defer l.release()
	if l.name == "" { // a directory
		o.n.pin = l.d.acquire()
	} else {
		file, err := openat(l.d.fd, l.name, unix.O_PATH|unix.O_NOFOLLOW, 0)
		if err != nil {
			return undo, err
		}
		o.n.pin = newDescriptor(file)
	}
	return func() {
		o.n.pin.release()
		o.n.pin = nil
	}, nil
}

// forgetName takes name, which led to o, out of the memory of p. hide tells
// that there is a whiteout on disk now.
func (f *FS) forgetName(p *node, name string, o object, hide bool) error {
	if hide {
		p.dir.set(name, nil, true)
	} else {
		p.dir.unset(name)
	}
	if f.meta(o).isDir() {
		p.dir.subdirs--
	}
	return f.lostName(p, name, o)
}

// lostName frees o if it has lost its last name and is not in use.
func (f *FS) lostName(p *node, name string, o object) error {
	if o.n != nil {
		f.table.removePlace(o.n, place{p, name})
		f.reap(o.n)
		return nil
	}
	if f.ref(o.id(), 0) == 0 {
		return nil
	}
	a := f.lower.Attr(o.low)
	if a.Nlink > 1 && !a.IsDir() {
		links, err := f.visible(o.low)
		if err != nil || len(links) > 0 {
			return err
		}
	}
	// Somebody still uses it; a node without places remembers that it is gone.
	n := f.lowerNode(o.low, 0)
	if n.isDir() {
		n.dir = newDirectory()
		n.dir.loaded.Store(true)
	}
	f.table.add(n, place{})
	return nil
}

// Link gives id one more name and takes a reference on it.
func (f *FS) Link(id, parent uint64, name string) (Entry, error) {
	if err := f.writable(); err != nil {
		return Entry{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	o, err := f.object(id)
	if err != nil {
		return Entry{}, err
	}
	if f.meta(o).isDir() {
		return Entry{}, syscall.EPERM
	}
	p, err := f.newName(parent, name)
	if err != nil {
		return Entry{}, err
	}
	n, err := f.upper(o)
	if err != nil {
		return Entry{}, err
	}
	if err := f.link(n, p, name); err != nil {
		return Entry{}, err
	}
	n.linkable = false
	f.table.addPlace(n, place{p, name})
	p.dir.set(name, n, f.inLower(p, name))
	return f.entry(object{n: n})
}

// link gives the backing inode of n a name in p, over a whiteout if there is
// one.
func (f *FS) link(n *node, p *node, name string) error {
	from, err := f.at(n)
	if err != nil {
		return err
	}
	defer from.release()
	st, err := from.stat()
	if err != nil {
		return err
	}
	if st.Nlink == 0 && !n.linkable {
		return syscall.ENOENT
	}
	to, err := f.openDir(p)
	if err != nil {
		return err
	}
	defer to.release()
	if _, whiteout := p.dir.entries[name]; !whiteout {
		return from.link(to.fd, name)
	}
	tmp := f.temp()
	if err := from.link(f.work.fd, tmp); err != nil {
		return err
	}
	err = unix.Renameat2(f.work.fd, tmp, to.fd, name, 0)
	if err != nil {
		f.discard(tmp)
	}
	return err
}

// link makes a hard link of the object.
func (l location) link(dir int, name string) error {
	if l.name != "" {
		return unix.Linkat(l.d.fd, l.name, dir, name, 0)
	}
	err := unix.Linkat(unix.AT_FDCWD, l.path(), dir, name, unix.AT_SYMLINK_FOLLOW)
	if errors.Is(err, os.ErrNotExist) { // no name left: only O_TMPFILE files can be linked again
		return syscall.ENOENT
	}
	return err
}
