package unionfs

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A location is how to reach an upper object: by its name in an open directory,
// or, with no name, by a descriptor of its own. So no path is ever longer than
// one name, and none is resolved through what somebody else could swap.
// The descriptors are O_PATH; what needs a path (the xattr calls) goes through
// /proc/self/fd, which names the very object.
type location struct {
	d    *descriptor
	name string
}

func (l location) release() { l.d.release() }

func (l location) path() string {
	p := "/proc/self/fd/" + strconv.Itoa(l.d.fd)
	if l.name != "" {
		p += "/" + l.name
	}
	return p
}

func (l location) stat() (st unix.Stat_t, err error) {
	if l.name == "" {
		return st, unix.Fstat(l.d.fd, &st)
	}
	return st, unix.Fstatat(l.d.fd, l.name, &st, unix.AT_SYMLINK_NOFOLLOW)
}

// open opens the object itself; flags as in open(2).
func (l location) open(flags int) (*os.File, error) {
	if l.name == "" {
		return openat(unix.AT_FDCWD, l.path(), flags, 0)
	}
	return openat(l.d.fd, l.name, flags|unix.O_NOFOLLOW, 0)
}

func (l location) chmod(perm uint32) error {
	if l.name == "" {
		return unix.Chmod(l.path(), perm)
	}
	return unix.Fchmodat(l.d.fd, l.name, perm, 0)
}

func (l location) utimes(atime, mtime unix.Timespec) error {
	ts := []unix.Timespec{atime, mtime}
	if l.name == "" {
		return unix.UtimesNanoAt(unix.AT_FDCWD, l.path(), ts, 0)
	}
	return unix.UtimesNanoAt(l.d.fd, l.name, ts, unix.AT_SYMLINK_NOFOLLOW)
}

// With a name, the xattr calls must not follow a symbolic link; without one,
// they must follow /proc's link to the object.

func (l location) getxattr(name string) ([]byte, error) {
	get := unix.Lgetxattr
	if l.name == "" {
		get = unix.Getxattr
	}
	return grow(func(b []byte) (int, error) { return get(l.path(), name, b) })
}

// listxattr returns the names as they are stored; none for what can have none.
func (l location) listxattr() ([]string, error) {
	list := unix.Llistxattr
	if l.name == "" {
		list = unix.Listxattr
	}
	b, err := grow(func(b []byte) (int, error) { return list(l.path(), b) })
	if len(b) == 0 || err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00"), nil
}

func (l location) setxattr(name string, value []byte, flags int) error {
	if l.name == "" {
		return unix.Setxattr(l.path(), name, value, flags)
	}
	return unix.Lsetxattr(l.path(), name, value, flags)
}

func (l location) removexattr(name string) error {
	if l.name == "" {
		return unix.Removexattr(l.path(), name)
	}
	return unix.Lremovexattr(l.path(), name)
}

// grow calls read with larger buffers until one is large enough.
func grow(read func([]byte) (int, error)) ([]byte, error) {
	b := make([]byte, 256)
	for {
		n, err := read(b)
		if err == nil {
			return b[:n:n], nil
		}
		if !errors.Is(err, syscall.ERANGE) || len(b) >= 1<<16 {
			return nil, err
		}
		b = make([]byte, len(b)*16)
	}
}

func openat(dir int, name string, flags int, perm uint32) (*os.File, error) {
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, perm)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// retry repeats a call that a signal interrupted; the Go runtime sends itself
// such signals.
func retry(call func() error) error {
	for {
		err := call()
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
