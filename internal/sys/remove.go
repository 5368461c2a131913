package sys

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// RemoveAll removes path and all below it, whatever modes the directories have: a writable layer may well hold
// directories of mode 0000, where os.RemoveAll gives up as a plain user. It never follows a symbolic link and never
// uses a path longer than one name below path, so depth is limited by open files alone.
// A path that does not exist is success; so is anything that somebody else removes meanwhile.
func RemoveAll(path string) error {
	if err := removeAt(unix.AT_FDCWD, path); err != nil {
		return &os.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

// removeAt removes the entry name of the directory dir.
func removeAt(dir int, name string) error {
	err := retry(func() error { return unix.Unlinkat(dir, name, 0) })
	if err == nil || err == unix.ENOENT {
		return nil
	}
	// Linux says EISDIR for a directory; POSIX allows EPERM, and some network file systems use it.
	if err != unix.EISDIR && err != unix.EPERM {
		return err
	}
	if rmdir := retry(func() error { return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR) }); rmdir == nil || rmdir == unix.ENOENT {
		return nil
	} else if rmdir == unix.ENOTDIR {
		return err // a file which may not be unlinked: the first error is the true one
	}
	if err := emptyAt(dir, name); err != nil {
		return err
	}
	err = retry(func() error { return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR) })
	if err == unix.ENOENT {
		return nil
	}
	return err
}

// emptyAt removes everything in the directory name of the directory dir.
func emptyAt(dir int, name string) error {
	f, err := openDir(dir, name)
	if err != nil {
		if err == unix.ENOENT {
			return nil
		}
		return err
	}
	defer f.Close()
	for {
		// Removing while reading may make a file system skip entries: read again until nothing is left.
		names, err := f.Readdirnames(1024)
		if errors.Is(err, io.EOF) || len(names) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		for _, n := range names {
			if err := removeAt(int(f.Fd()), n); err != nil {
				return err
			}
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
}

// openDir opens a directory for reading and sees to it that its owner may list and change it.
func openDir(dir int, name string) (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	open := func() (fd int, err error) {
		err = retry(func() error { fd, err = unix.Openat(dir, name, flags, 0); return err })
		return fd, err
	}
	fd, err := open()
	if err == unix.EACCES {
		if err := unix.Fchmodat(dir, name, 0o700, 0); err != nil {
			return nil, err
		}
		fd, err = open()
	}
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err == nil && st.Mode&0o700 != 0o700 {
		// Not fatal by itself: what cannot be removed then says so.
		_ = unix.Fchmod(fd, 0o700)
	}
	return os.NewFile(uintptr(fd), name), nil
}
