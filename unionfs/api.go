package unionfs

import "syscall"

// Lookup finds name in the directory parent and takes one reference on what it
// finds. "." and ".." work for every directory, "." for every known id. Errors:
// ENOENT, ENOTDIR, ENAMETOOLONG (more than 255 bytes).
func (f *FS) Lookup(parent uint64, name string) (Entry, error) { return Entry{}, syscall.ENOSYS }

// Forget gives back n references on id. An unlinked object is gone when its
// last reference is.
func (f *FS) Forget(id, n uint64) {}

// Getattr returns the attributes of id.
func (f *FS) Getattr(id uint64) (Attr, error) { return Attr{}, syscall.ENOSYS }

// Setattr changes attributes and returns all of them. A change of owner clears
// setuid, setgid and file capabilities as chown(2) does. A change of size may
// copy data, which the closing of cancel interrupts (EINTR); cancel may be nil.
func (f *FS) Setattr(cancel <-chan struct{}, id uint64, s SetAttr) (Attr, error) {
	return Attr{}, syscall.ENOSYS
}

// Readlink returns the target of the symbolic link id; EINVAL for others.
func (f *FS) Readlink(id uint64) (string, error) { return "", syscall.ENOSYS }

// Mknod makes a regular file, FIFO, socket or device (mode: S_IFMT | 07777) and
// takes a reference on it. A character device 0:0 is refused (EPERM), because
// it is a whiteout; so is a name that begins with ".wh." (EINVAL), because a
// layer tar cannot carry it.
func (f *FS) Mknod(c Cred, parent uint64, name string, mode, major, minor uint32) (Entry, error) {
	return Entry{}, syscall.ENOSYS
}

// Mkdir makes a directory and takes a reference on it.
func (f *FS) Mkdir(c Cred, parent uint64, name string, mode uint32) (Entry, error) {
	return Entry{}, syscall.ENOSYS
}

// Symlink makes a symbolic link and takes a reference on it.
func (f *FS) Symlink(c Cred, parent uint64, name, target string) (Entry, error) {
	return Entry{}, syscall.ENOSYS
}

// Tmpfile makes a regular file without a name (O_TMPFILE) and takes a
// reference on it. Link may give it a name.
func (f *FS) Tmpfile(c Cred, parent uint64, mode uint32) (Entry, error) {
	return Entry{}, syscall.ENOSYS
}

// Link gives id one more name and takes a reference on it.
func (f *FS) Link(id, parent uint64, name string) (Entry, error) { return Entry{}, syscall.ENOSYS }

// Unlink removes a name of what is no directory. It never copies data.
func (f *FS) Unlink(parent uint64, name string) error { return syscall.ENOSYS }

// Rmdir removes an empty directory.
func (f *FS) Rmdir(parent uint64, name string) error { return syscall.ENOSYS }

// Rename is renameat2(2) with flags RENAME_NOREPLACE and RENAME_EXCHANGE;
// others are EINVAL. It never copies data, nor more of a directory than itself.
func (f *FS) Rename(oldParent uint64, oldName string, newParent uint64, newName string, flags uint32) error {
	return syscall.ENOSYS
}

// Read reads from the regular file id into p, as pread(2): short only at the
// end of the file.
func (f *FS) Read(id uint64, p []byte, off int64) (int, error) { return 0, syscall.ENOSYS }

// Write writes p into the regular file id, as pwrite(2). The first write to a
// file copies its data up, which the closing of cancel interrupts (EINTR);
// cancel may be nil. killPriv clears setuid and setgid, for callers without
// CAP_FSETID; file capabilities are always cleared.
func (f *FS) Write(cancel <-chan struct{}, id uint64, p []byte, off int64, killPriv bool) (int, error) {
	return 0, syscall.ENOSYS
}

// Fsync makes id durable; dataOnly as fdatasync(2). Nothing to do for what has
// not been changed, and for a volatile union.
func (f *FS) Fsync(id uint64, dataOnly bool) error { return syscall.ENOSYS }

// Fallocate is fallocate(2) with its mode bits; cancel and killPriv as in Write.
func (f *FS) Fallocate(cancel <-chan struct{}, id uint64, off, size int64, mode uint32, killPriv bool) error {
	return syscall.ENOSYS
}

// Lseek answers SEEK_DATA and SEEK_HOLE; ENXIO behind the end of the file.
func (f *FS) Lseek(id uint64, off int64, whence int) (int64, error) { return 0, syscall.ENOSYS }

// CopyFileRange is copy_file_range(2); it may copy less than size. cancel and
// killPriv as in Write.
func (f *FS) CopyFileRange(cancel <-chan struct{}, in uint64, offIn int64, out uint64, offOut, size int64, killPriv bool) (int64, error) {
	return 0, syscall.ENOSYS
}

// Getxattr returns the value of an extended attribute; ENODATA if id has none
// of that name.
func (f *FS) Getxattr(id uint64, name string) ([]byte, error) { return nil, syscall.ENOSYS }

// Listxattr returns the names of the extended attributes of id.
func (f *FS) Listxattr(id uint64) ([]string, error) { return nil, syscall.ENOSYS }

// Setxattr is setxattr(2) with its flags XATTR_CREATE and XATTR_REPLACE. An
// access ACL also sets the permission bits; killSGID then clears setgid.
// Namespaces user, security, trusted and the two POSIX ACL names of system are
// supported, others are EOPNOTSUPP.
func (f *FS) Setxattr(id uint64, name string, value []byte, flags uint32, killSGID bool) error {
	return syscall.ENOSYS
}

// Removexattr removes an extended attribute; ENODATA if there is none.
func (f *FS) Removexattr(id uint64, name string) error { return syscall.ENOSYS }

// Statfs describes the file system of the upper, or the lower alone if there
// is none.
func (f *FS) Statfs() (Statfs, error) { return Statfs{}, syscall.ENOSYS }

// Readdir lists the directory id from off (0 at first, then the Off of the last
// entry taken) until yield returns false or the end. "." and ".." come first.
// Offsets stay valid while names come and go. With plus, yield also gets what
// Lookup would return, but nil for "." and ".."; the reference on it is taken
// only if yield returns true. yield must not call into the FS.
func (f *FS) Readdir(id, off uint64, plus bool, yield func(DirEntry, *Entry) bool) error {
	return syscall.ENOSYS
}
