package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// filesystem tries in a scratch directory what the store and the upper directories need.
func filesystem(root string) []Finding {
	dir, err := nearest(root)
	if err != nil {
		return []Finding{{Name: "store", Status: Fail, Detail: err.Error(), Fix: "choose another place with --root or LAYERFS_ROOT"}}
	}
	place := Finding{Name: "store", Status: OK, Detail: fmt.Sprintf("%s on %s", root, kind(dir))}
	scratch, err := os.MkdirTemp(dir, ".layerfs-doctor-")
	if err != nil {
		place.Status = Fail
		place.Detail += ": " + err.Error()
		place.Fix = "make the directory writable for this user, or choose another with --root or LAYERFS_ROOT"
		return []Finding{place}
	}
	defer os.RemoveAll(scratch)

	findings := []Finding{place, space(dir)}
	for _, check := range []struct {
		name    string
		try     func(scratch string) error
		missing Status
		detail  string // what follows when it is missing
	}{
		{"user xattrs", tryXattr, Fail, "owners, modes and devices of changed files cannot be recorded"},
		{"atomic rename", tryRename, Fail, "a crash could show half a change"},
		{"file locks", tryLock, Fail, "two processes could spoil one store"},
		{"hard links", tryLink, Fail, "linked files cannot be kept linked"},
		{"whiteouts", tryWhiteout, Warn, "the kernel's xattr form is used instead, which kernels before 6.7 cannot mount"},
		{"O_TMPFILE", tryTmpfile, Warn, "new contents get a name before they are whole; only clutter after a crash"},
		{"reflinks", tryReflink, Warn, "the first write to a big file copies it"},
	} {
		finding := Finding{Name: check.name, Status: OK, Detail: "work"}
		if err := check.try(scratch); err != nil {
			finding.Status = check.missing
			finding.Detail = fmt.Sprintf("not here (%v): %s", err, check.detail)
			finding.Fix = fixes[check.missing]
		}
		findings = append(findings, finding)
	}
	return findings
}

var fixes = map[Status]string{
	Fail: "keep the store on ext4, xfs or btrfs (tmpfs from Linux 6.6): --root or LAYERFS_ROOT",
	Warn: "nothing to do; xfs (reflink=1) and btrfs have it all, ext4 all but reflinks",
}

// nearest is root or, as it may not exist yet, its closest existing parent.
func nearest(root string) (string, error) {
	dir, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	for {
		st, err := os.Stat(dir)
		switch {
		case err == nil && st.IsDir():
			return dir, nil
		case err == nil:
			return "", fmt.Errorf("%s is not a directory", dir)
		case !errors.Is(err, os.ErrNotExist) || dir == "/":
			return "", err
		}
		dir = filepath.Dir(dir)
	}
}

// kind names the file system of dir.
func kind(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "an unknown file system"
	}
	names := map[int64]string{
		unix.EXT4_SUPER_MAGIC:      "ext4",
		unix.XFS_SUPER_MAGIC:       "xfs",
		unix.BTRFS_SUPER_MAGIC:     "btrfs",
		unix.TMPFS_MAGIC:           "tmpfs",
		unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
		unix.NFS_SUPER_MAGIC:       "nfs",
		unix.FUSE_SUPER_MAGIC:      "fuse",
		unix.F2FS_SUPER_MAGIC:      "f2fs",
		0x2fc12fc1:                 "zfs",
		unix.CIFS_SUPER_MAGIC:      "cifs",
		unix.ECRYPTFS_SUPER_MAGIC:  "ecryptfs",
		unix.BCACHEFS_SUPER_MAGIC:  "bcachefs",
		unix.SQUASHFS_MAGIC:        "squashfs",
	}
	if name, ok := names[int64(st.Type)]; ok { //nolint:unconvert // its type differs between architectures
		return name
	}
	return fmt.Sprintf("file system type %#x", st.Type)
}

// low is the free space and the number of free inodes below which an import is likely to fail.
const (
	lowBytes  = 512 << 20
	lowInodes = 20_000
)

func space(dir string) Finding {
	f := Finding{Name: "free space", Status: OK}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Finding{Name: f.Name, Status: Warn, Detail: err.Error(), Fix: "check `df " + dir + "`"}
	}
	free := st.Bavail * uint64(st.Bsize)
	f.Detail = fmt.Sprintf("%d MiB", free>>20)
	countsInodes := st.Files > 0 // btrfs and others say 0: no limit
	if countsInodes {
		f.Detail += fmt.Sprintf(", %d inodes", st.Ffree)
	}
	if free < lowBytes || countsInodes && st.Ffree < lowInodes {
		f.Status = Warn
		f.Detail += ": an import may run out of it"
		f.Fix = "make room: layerfs gc, layerfs rm, layerfs rmi; or choose another place with --root"
	}
	return f
}

func tryXattr(dir string) error {
	path, err := newFile(dir)
	if err != nil {
		return err
	}
	return unix.Setxattr(path, "user.layerfs.doctor", []byte("1"), 0)
}

func tryRename(dir string) error {
	a, err := newFile(dir)
	if err != nil {
		return err
	}
	b, err := newFile(dir)
	if err != nil {
		return err
	}
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		return err
	}
	err = unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_NOREPLACE)
	if err == nil {
		return errors.New("RENAME_NOREPLACE is ignored")
	}
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

func tryLock(dir string) error {
	path, err := newFile(dir)
	if err != nil {
		return err
	}
	first, err := os.Open(path)
	if err != nil {
		return err
	}
	defer first.Close()
	if err := unix.Flock(int(first.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	second, err := os.Open(path)
	if err != nil {
		return err
	}
	defer second.Close()
	if err := unix.Flock(int(second.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		return errors.New("a held lock was given away again")
	}
	return nil
}

func tryLink(dir string) error {
	path, err := newFile(dir)
	if err != nil {
		return err
	}
	return os.Link(path, path+"-link")
}

func tryWhiteout(dir string) error {
	return unix.Mknod(filepath.Join(dir, "whiteout"), unix.S_IFCHR, int(unix.Mkdev(0, 0)))
}

func tryTmpfile(dir string) error {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func tryReflink(dir string) error {
	path, err := newFile(dir)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, make([]byte, 1<<16), 0o600); err != nil {
		return err
	}
	src, err := os.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.CreateTemp(dir, "clone-")
	if err != nil {
		return err
	}
	defer dst.Close()
	return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd()))
}

func newFile(dir string) (string, error) {
	file, err := os.CreateTemp(dir, "try-")
	if err != nil {
		return "", err
	}
	return file.Name(), file.Close()
}
