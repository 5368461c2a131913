package unionfs

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// What in the work directory has to be finished after a crash; all else there is
// of no use to anybody.
const (
	// groupPrefix begins the name of a hard-link group that is being copied up
	// under all its names; the number of its lower inode follows.
	groupPrefix = "group-"
	// moveRecord holds the path of a name in the upper that is being renamed,
	// and then has to be a whiteout. See moveInSteps.
	moveRecord = "move"
)

// temp returns a name for the work directory that has not been used.
func (f *FS) temp() string { return "#" + strconv.FormatUint(f.temps.Add(1), 16) }

// recover finishes what a killed predecessor has left to do in the work
// directory, and clears it.
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
	var groups []string
	move := false
	for _, name := range names { // first, for temp will give out the same names again
		switch {
		case strings.HasPrefix(name, groupPrefix):
			groups = append(groups, name)
		case name == moveRecord:
			move = true
		default:
			if err := removeTree(f.work.fd, name); err != nil {
				return err
			}
		}
	}
	f.probeWhiteouts()
	if move {
		if err := f.finishMove(); err != nil {
			return fmt.Errorf("finish a rename: %w", err)
		}
	}
	for _, name := range groups {
		if err := f.finishGroup(name); err != nil {
			return fmt.Errorf("finish the copy-up of %s: %w", name, err)
		}
	}
	return nil
}

// recordMove writes down that the name in dir is going to be a whiteout.
func (f *FS) recordMove(dir *node, name string) error {
	path := name
	for n := dir; n != f.root; {
		p, ok := f.table.place(n)
		if !ok {
			return syscall.ENOENT
		}
		path = p.name + "/" + path
		n = p.dir
	}
	tmp := f.temp()
	file, err := openat(f.work.fd, tmp, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(path)
	if err = errors.Join(err, file.Close()); err == nil {
		err = unix.Renameat2(f.work.fd, tmp, f.work.fd, moveRecord, 0)
	}
	if err != nil {
		f.discard(tmp)
	}
	return err
}

// finishMove does what moveInSteps had left to do.
func (f *FS) finishMove() error {
	file, err := openat(f.work.fd, moveRecord, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	path, err := io.ReadAll(file)
	file.Close()
	if err != nil {
		return err
	}
	names := strings.Split(string(path), "/")
	dir, name := f.root, names[len(names)-1]
	for _, part := range names[:len(names)-1] {
		if err := f.load(dir); err != nil {
			return err
		}
		if dir = dir.dir.entries[part].n; dir == nil || !dir.isDir() {
			return fmt.Errorf("%w: no directory for the name %q in the upper; remove the file %s from the work directory if that is right",
				syscall.EIO, path, moveRecord)
		}
	}
	if err := f.load(dir); err != nil {
		return err
	}
	if _, ok := dir.dir.entries[name]; !ok { // it has been renamed
		at, err := f.openDir(dir)
		if err != nil {
			return err
		}
		defer at.release()
		if err := f.whiteout(dir, at, name, true); err != nil {
			return err
		}
		dir.dir.set(name, nil, f.inLower(dir, name))
		dir.dir.subdirs = f.countSubdirs(dir)
	}
	return unix.Unlinkat(f.work.fd, moveRecord, 0)
}

// finishGroup does what copyUpGroup had left to do.
func (f *FS) finishGroup(name string) error {
	i, err := parseOrigin([]byte(strings.TrimPrefix(name, groupPrefix)), f.lower.Len())
	if err != nil {
		return err
	}
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
