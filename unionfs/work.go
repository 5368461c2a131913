package unionfs

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// groupPrefix begins the name in the work directory of a hard-link group that
// is being copied up; the number of its lower inode follows.
const groupPrefix = "group-"

// temp returns a name for the work directory that has not been used.
func (f *FS) temp() string { return "#" + strconv.FormatUint(f.temps.Add(1), 16) }

// recover clears the work directory. What was being prepared there is of no
// use, but for one thing: a hard-link group has to be copied up with all its
// names, and that cannot be one step. Once the file of a group has its name in
// the work directory, the rest of its names is made up for.
func (f *FS) recover() error {
	dir, err := location{d: f.work}.open(unix.O_RDONLY | unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if s, ok := strings.CutPrefix(name, groupPrefix); ok {
			i, err := parseOrigin([]byte(s), f.lower.Len())
			if err != nil {
				return err
			}
			if err := f.finishGroup(i, name); err != nil {
				return fmt.Errorf("finish the copy-up of %s: %w", name, err)
			}
			continue
		}
		if err := removeTree(int(dir.Fd()), name); err != nil {
			return err
		}
	}
	return nil
}

// finishGroup does what copyUpGroup had left to do.
func (f *FS) finishGroup(i tarindex.Ino, name string) error {
	links, err := f.visible(i)
	if err != nil {
		return err
	}
	for _, l := range links {
		if err := f.linkGroup(name, l); err != nil {
			return err
		}
		p, err := f.upperOf(l.Dir)
		if err != nil {
			return err
		}
		at, err := f.openDir(p)
		if err != nil {
			return err
		}
		n, err := f.loadEntry(p, at, l.Name)
		at.release()
		if err != nil {
			return err
		}
		p.dir.set(l.Name, n, true)
	}
	return unix.Unlinkat(f.work.fd, name, 0)
}

// discard removes what was prepared in, or moved to, the work directory. What
// it cannot remove the next New does.
func (f *FS) discard(name string) { _ = removeTree(f.work.fd, name) }

// removeTree removes name in the directory dir with all that is in it.
func removeTree(dir int, name string) error {
	err := unix.Unlinkat(dir, name, 0)
	if err == nil || !errors.Is(err, syscall.EISDIR) {
		return err
	}
	err = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
	if err == nil || !errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	if err := emptyDir(dir, name); err != nil {
		return err
	}
	return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
}

// emptyDir removes all that is in the directory name in dir.
func emptyDir(dir int, name string) error {
	d, err := openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := removeTree(int(d.Fd()), n); err != nil {
			return err
		}
	}
	return nil
}

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
