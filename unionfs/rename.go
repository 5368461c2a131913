package unionfs

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// A renaming is one rename that has been checked and whose two directories and
// source have upper parts.
type renaming struct {
	from, to         *node
	oldName, newName string
	src              *node
	dst              object
	exists           bool // dst
}

// Rename is renameat2(2) with flags RENAME_NOREPLACE and RENAME_EXCHANGE;
// others are EINVAL. It never copies data, nor more of a directory than itself.
func (f *FS) Rename(oldParent uint64, oldName string, newParent uint64, newName string, flags uint32) error {
	if err := f.writable(); err != nil {
		return err
	}
	exchange := flags == unix.RENAME_EXCHANGE
	if flags != 0 && flags != unix.RENAME_NOREPLACE && !exchange {
		return syscall.EINVAL
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	from, err := f.directory(oldParent)
	if err != nil {
		return err
	}
	to, err := f.directory(newParent)
	if err != nil {
		return err
	}
	src, err := f.lookup(oldParent, oldName)
	if err != nil {
		return err
	}
	if err := checkNewName(newName); err != nil {
		return err
	}
	dst, exists, err := f.child(to, newName)
	if err != nil {
		return err
	}
	switch {
	case oldName == "." || oldName == "..":
		return syscall.EBUSY
	case exists && flags == unix.RENAME_NOREPLACE:
		return syscall.EEXIST
	case !exists && exchange:
		return syscall.ENOENT
	case exchange && checkNewName(oldName) != nil: // only a lower layer can have such a name
		return syscall.EINVAL
	case exists && src.is(dst):
		return nil
	}
	if err := f.checkLoops(from, to, src, dst, exists, exchange); err != nil {
		return err
	}
	if exists && !exchange {
		if err := f.checkReplace(src, dst); err != nil {
			return err
		}
	}
	r := renaming{oldName: oldName, newName: newName, dst: dst, exists: exists}
	if r.from, err = f.upperDir(from); err != nil {
		return err
	}
	if r.to, err = f.upperDir(to); err != nil {
		return err
	}
	if r.src, err = f.upper(src); err != nil {
		return err
	}
	for _, n := range []*node{r.from, r.to, r.src} {
		n.quiet = quiet{}
	}
	if exchange {
		return f.exchange(r)
	}
	return f.move(r)
}

// checkLoops refuses to move a directory into itself, and to replace or
// exchange what the source is in.
func (f *FS) checkLoops(from, to, src, dst object, exists, exchange bool) error {
	if f.meta(src).isDir() {
		if loop, err := f.within(to, src); err != nil {
			return err
		} else if loop {
			return syscall.EINVAL
		}
	}
	if exists && f.meta(dst).isDir() {
		if loop, err := f.within(from, dst); err != nil {
			return err
		} else if loop && exchange {
			return syscall.EINVAL
		} else if loop {
			return syscall.ENOTEMPTY
		}
	}
	return nil
}

func (f *FS) checkReplace(src, dst object) error {
	switch fromDir, toDir := f.meta(src).isDir(), f.meta(dst).isDir(); {
	case fromDir && !toDir:
		return syscall.ENOTDIR
	case !fromDir && toDir:
		return syscall.EISDIR
	case toDir:
		return f.checkEmpty(dst)
	}
	return nil
}

// move renames, replacing what is there.
func (f *FS) move(r renaming) error {
	from, err := f.openDir(r.from)
	if err != nil {
		return err
	}
	defer from.release()
	to, err := f.openDir(r.to)
	if err != nil {
		return err
	}
	defer to.release()
	if err := f.prepareMove(r.src, r.to, r.newName); err != nil {
		return err
	}
	undo := func() {}
	if r.exists {
		if r.dst.n != nil && r.dst.n.isDir() {
			if err := f.clearWhiteouts(r.dst.n, to, r.newName); err != nil {
				return err
			}
		}
		if undo, err = f.keepAlive(r.to, r.newName, r.dst); err != nil {
			return err
		}
	}
	covers := f.inLower(r.from, r.oldName)
	if err := f.moveOnDisk(r, from, to, covers); err != nil {
		undo()
		return err
	}

	if covers {
		r.from.dir.set(r.oldName, nil, true)
	} else {
		r.from.dir.unset(r.oldName)
	}
	f.table.removePlace(r.src, place{r.from, r.oldName})
	r.to.dir.set(r.newName, r.src, f.inLower(r.to, r.newName))
	f.table.addPlace(r.src, place{r.to, r.newName})
	if r.src.isDir() {
		r.from.dir.subdirs--
		r.to.dir.subdirs++
	}
	if !r.exists {
		return nil
	}
	if f.meta(r.dst).isDir() {
		r.to.dir.subdirs--
	}
	return f.lostName(r.to, r.newName, r.dst)
}

// prepareMove marks a directory so that what is below it does not change with
// its place: a merged one remembers the lower part, one that is not merged is
// opaque where a lower directory has the new name. Neither shows where it is.
func (f *FS) prepareMove(n, to *node, name string) error {
	if !n.isDir() {
		return nil
	}
	low, merged := n.lowIno()
	if !merged && !f.inLower(to, name) {
		return nil
	}
	l, err := f.at(n)
	if err != nil {
		return err
	}
	defer l.release()
	if !merged {
		return l.setxattr(xattrOpaque, []byte("y"), 0)
	}
	if err := f.noteMoved(); err != nil {
		return err
	}
	if path := f.lower.Path(low); len(path) <= maxRedirect {
		return l.setxattr(xattrRedirect, []byte(path), 0)
	}
	return l.setxattr(xattrOrigin, formatOrigin(low), 0)
}

// noteMoved records that the lower part of a directory may be elsewhere than
// its path says, which lowerDirectory has to know. What is moved from the first
// time on stays in the table, so nothing has to be searched in this mount.
func (f *FS) noteMoved() error {
	if f.moved {
		return nil
	}
	if err := (location{d: f.root.pin}).setxattr(xattrMoved, nil, 0); err != nil {
		return err
	}
	f.moved = true
	f.movedKnown.Store(true)
	return nil
}

// clearWhiteouts removes what hides lower names in a directory that shows none
// and is going to be replaced: it is made opaque first.
func (f *FS) clearWhiteouts(n *node, parent *descriptor, name string) error {
	if len(n.dir.entries) == 0 {
		return nil
	}
	l, err := f.at(n)
	if err != nil {
		return err
	}
	defer l.release()
	if low, ok := n.lowIno(); ok { // it keeps its number, should nothing come of it
		if err := l.setxattr(xattrOrigin, formatOrigin(low), 0); err != nil {
			return err
		}
	}
	if err := l.setxattr(xattrOpaque, []byte("y"), 0); err != nil {
		return err
	}
	n.low = -1
	if err := emptyDir(parent.fd, name); err != nil {
		return err
	}
	n.dir = newDirectory()
	n.dir.loaded.Store(true)
	return nil
}

// moveOnDisk renames in the upper and leaves a whiteout at the old name, if it
// covers a name of the lower, in one step.
func (f *FS) moveOnDisk(r renaming, from, to *descriptor, covers bool) error {
	e, inUpper := r.to.dir.entries[r.newName]
	overWhiteout := inUpper && e.n == nil
	switch {
	case r.src.isDir() && overWhiteout:
		// A directory cannot replace a whiteout, but change places with it.
		if err := unix.Renameat2(from.fd, r.oldName, to.fd, r.newName, unix.RENAME_EXCHANGE); err != nil || covers {
			return err
		}
		return unix.Unlinkat(from.fd, r.oldName, 0)
	case !covers:
		return unix.Renameat2(from.fd, r.oldName, to.fd, r.newName, 0)
	case !f.noRenameWhiteout:
		return unix.Renameat2(from.fd, r.oldName, to.fd, r.newName, unix.RENAME_WHITEOUT)
	}
	return f.moveInSteps(r, from, to)
}

// moveInSteps is the move for file systems that cannot leave a char 0:0 behind.
// A record in the work directory sees to it that no crash leaves both names.
func (f *FS) moveInSteps(r renaming, from, to *descriptor) error {
	tmp, err := f.prepareWhiteout(r.from)
	if err != nil {
		return err
	}
	defer f.discard(tmp)
	if err := f.recordMove(r.from, r.oldName); err != nil {
		return err
	}
	if err := unix.Renameat2(from.fd, r.oldName, to.fd, r.newName, 0); err != nil {
		f.discard(moveRecord)
		return err
	}
	err = unix.Renameat2(f.work.fd, tmp, from.fd, r.oldName, unix.RENAME_NOREPLACE)
	f.discard(moveRecord)
	return err
}

// exchange swaps two objects.
func (f *FS) exchange(r renaming) error {
	dst, err := f.upper(r.dst)
	if err != nil {
		return err
	}
	dst.quiet = quiet{}
	from, err := f.openDir(r.from)
	if err != nil {
		return err
	}
	defer from.release()
	to, err := f.openDir(r.to)
	if err != nil {
		return err
	}
	defer to.release()
	if err := f.prepareMove(r.src, r.to, r.newName); err != nil {
		return err
	}
	if err := f.prepareMove(dst, r.from, r.oldName); err != nil {
		return err
	}
	if err := unix.Renameat2(from.fd, r.oldName, to.fd, r.newName, unix.RENAME_EXCHANGE); err != nil {
		return err
	}
	f.settle(r.src, place{r.from, r.oldName}, place{r.to, r.newName})
	f.settle(dst, place{r.to, r.newName}, place{r.from, r.oldName})
	if r.src.isDir() {
		r.from.dir.subdirs--
		r.to.dir.subdirs++
	}
	if dst.isDir() {
		r.to.dir.subdirs--
		r.from.dir.subdirs++
	}
	return nil
}

// settle moves n, in memory, from one name to another that is in use, too.
func (f *FS) settle(n *node, from, to place) {
	f.table.removePlace(n, from)
	f.table.addPlace(n, to)
	to.dir.dir.set(to.name, n, f.inLower(to.dir, to.name))
}
