package fusefs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var (
	// ErrTarget is wrapped by every error of CheckTarget about a directory that
	// cannot be mounted on.
	ErrTarget = errors.New("bad mount target")
	// ErrMounted says that something is mounted on the target already.
	ErrMounted = errors.New("target is already a mount")
	// ErrNotMounted says that there is no FUSE mount at the target.
	ErrNotMounted = errors.New("not a layerfs mount")
	// ErrBusy says that a mount is in use: open files, working directories.
	ErrBusy = errors.New("mount is busy")
)

// CheckTarget tells whether a union of the store at storeRoot can be mounted on
// target, and returns target as an absolute path without symbolic links. A
// dead mount of this user is cleared away first. Errors wrap ErrTarget (does
// not exist, no directory, not empty, inside the store) or ErrMounted.
func CheckTarget(target, storeRoot string) (string, error) {
	path, err := resolve(target)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrTarget, err)
	}
	if err := clearStale(path); err != nil {
		return "", err
	}
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("%w: %s: %w; make the directory first: mkdir -p %s", ErrTarget, target, os.ErrNotExist, target)
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrTarget, err)
	case !st.IsDir():
		return "", fmt.Errorf("%w: %s is not a directory", ErrTarget, target)
	}
	if m, mounted, err := Find(path); err != nil {
		return "", err
	} else if mounted {
		return "", fmt.Errorf("%w: %s (%s, type %s); unmount it or choose another directory", ErrMounted, target, m.Source, m.FSType)
	}
	store, err := filepath.EvalSymlinks(storeRoot)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	if path == store || strings.HasPrefix(path, strings.TrimSuffix(store, "/")+"/") {
		return "", fmt.Errorf("%w: %s is inside the store %s; choose a directory outside", ErrTarget, target, storeRoot)
	}
	return path, checkEmpty(target, path)
}

// checkEmpty protects against hiding files below a mount.
func checkEmpty(target, path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTarget, err)
	}
	defer d.Close()
	names, err := d.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTarget, err)
	}
	return fmt.Errorf("%w: %s: %w (it holds %q); choose an empty directory", ErrTarget, target, unix.ENOTEMPTY, names[0])
}

// clearStale detaches dead mounts on path, one on top of the other, if they are
// this user's. A loop, because a program that is killed and started again a few
// times leaves as many.
func clearStale(path string) error {
	for Stale(path) {
		m, found, err := Find(path)
		if err != nil {
			return err
		}
		if !found {
			return nil // cleared by somebody else meanwhile
		}
		if euid := os.Geteuid(); euid != 0 && m.UID != uint32(euid) {
			return fmt.Errorf("%w: the dead mount on %s belongs to uid %d, who has to unmount it", ErrMounted, path, m.UID)
		}
		if err := unmount(path, true); err != nil {
			return fmt.Errorf("clear the dead mount: %w", err)
		}
	}
	return nil
}

// staleTimeout bounds how long Stale waits for a program that may only be busy
// or stopped.
const staleTimeout = 5 * time.Second

// Stale tells whether target is a FUSE mount whose program has died. A program
// that is alive but does not answer is not stale.
func Stale(target string) bool {
	path, err := resolve(target)
	if err != nil {
		return false
	}
	answer := make(chan error, 1) // buffered: nobody may be left to take it
	go func() { answer <- ping(path) }()
	select {
	case err := <-answer:
		return errors.Is(err, syscall.ENOTCONN)
	case <-time.After(staleTimeout):
		return false
	}
}

// ping asks the file system at path for its root's attributes. It forces a
// request, because the kernel goes on to answer from its cache after the
// program behind the mount has died.
func ping(path string) error {
	var st unix.Statx_t
	for {
		err := unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS, &st)
		if err != unix.EINTR {
			return err
		}
	}
}

func mkdev(major, minor int) uint64 { return unix.Mkdev(uint32(major), uint32(minor)) }
