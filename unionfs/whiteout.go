package unionfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// probeWhiteouts finds out whether char 0:0 can be made here, and left behind by
// a rename; overlayfs and some network file systems refuse it.
func (f *FS) probeWhiteouts() {
	a, b := f.temp(), f.temp()
	f.xattrWhiteouts = unix.Mknodat(f.work.fd, a, unix.S_IFCHR, 0) != nil
	f.noRenameWhiteout = f.xattrWhiteouts || unix.Renameat2(f.work.fd, a, f.work.fd, b, unix.RENAME_WHITEOUT) != nil
	f.discard(a)
	f.discard(b)
}

// prepareWhiteout makes a whiteout in the work directory, to be moved into dir.
func (f *FS) prepareWhiteout(dir *node) (string, error) {
	name := f.temp()
	if !f.xattrWhiteouts {
		return name, unix.Mknodat(f.work.fd, name, unix.S_IFCHR, 0)
	}
	if err := f.announceWhiteouts(dir); err != nil {
		return "", err
	}
	file, err := openat(f.work.fd, name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if err := unix.Fsetxattr(int(file.Fd()), xattrWhiteout, nil, 0); err != nil {
		f.discard(name)
		return "", err
	}
	return name, nil
}

// announceWhiteouts marks dir as having xattr whiteouts in it: overlayfs looks
// for them only where it is told to.
func (f *FS) announceWhiteouts(dir *node) error {
	l, err := f.at(dir)
	if err != nil {
		return err
	}
	defer l.release()
	err = l.setxattr(xattrOpaque, []byte("x"), unix.XATTR_CREATE)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	return err
}

// whiteout hides the lower's name in dir. There is a file of that name in the
// upper or, with fresh, nothing. One step.
func (f *FS) whiteout(dir *node, at *descriptor, name string, fresh bool) error {
	if fresh && !f.xattrWhiteouts {
		return unix.Mknodat(at.fd, name, unix.S_IFCHR, 0)
	}
	tmp, err := f.prepareWhiteout(dir)
	if err != nil {
		return err
	}
	if err := unix.Renameat2(f.work.fd, tmp, at.fd, name, 0); err != nil {
		f.discard(tmp)
		return err
	}
	return nil
}
