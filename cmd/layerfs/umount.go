package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/fusefs"
	"github.com/layerfs/layerfs/store"
)

func newUmount(a *app) *cobra.Command {
	var lazy bool
	cmd := &cobra.Command{
		Use:   "umount [--lazy] NAME|TARGET",
		Short: "Unmount; returns when the data is safe and the mount is gone",
		Long: `Unmount an RW layer by its name or by where it is mounted. When the command returns, the
data is on disk, the mount is gone and its process has ended. A mount that is in use is
refused. The mount of a process that died is cleared away.`,
		Example: `  layerfs umount work
  layerfs umount ~/mnt
  layerfs umount --lazy work`,
		Args:              exactly(1),
		ValidArgsFunction: a.complete(rwNames),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			rw, target, err := mounted(s, args[0])
			if err != nil {
				return err
			}
			return unmount(rw, target, lazy)
		},
	}
	cmd.Flags().BoolVarP(&lazy, "lazy", "l", false, "detach now even if it is in use; it ends when its last user is gone")
	return cmd
}

// mounted finds an RW layer by name or by its target. rw is nil for a mount that this store does not know.
func mounted(s *store.Store, typed string) (rw *store.RW, target string, err error) {
	rw, err = s.RW(typed)
	if err == nil {
		m, err := rw.Mount()
		if err != nil {
			return nil, "", err
		}
		if m == nil {
			return nil, "", fmt.Errorf("rw layer %s: %w", rw.Name, errNotMounted)
		}
		return rw, m.Target, nil
	}
	if !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrName) {
		return nil, "", err
	}
	point, found, err := fusefs.Find(typed)
	if err != nil {
		return nil, "", err
	}
	if !found {
		return nil, "", fmt.Errorf("%s: %w; `layerfs ps` lists what is", typed, errNotMounted)
	}
	rws, damaged := s.RWs()
	for _, rw := range rws {
		if m, err := rw.Mount(); err == nil && m != nil && m.Device == point.Device {
			return rw, point.Target, nil
		}
	}
	return nil, point.Target, damaged
}

// errNotMounted: there is nothing to unmount.
var errNotMounted = errors.New("not mounted")

// unmount takes the mount down and sees its process end. rw may be nil.
func unmount(rw *store.RW, target string, lazy bool) error {
	if rw == nil {
		return fusefs.Unmount(target, lazy) // another store's: its lock is not ours to wait for
	}
	before, err := rw.Status()
	if err != nil {
		return err
	}
	if before.State == store.Dead {
		unlock, err := rw.Lock()
		if err != nil {
			return err
		}
		defer unlock()
		return clearDead(rw)
	}
	here, err := isHere(before.Mount)
	if err != nil {
		return err
	}
	if m := before.Mount; !here && m != nil && elsewhere(m.PID) {
		return fmt.Errorf("rw layer %s: %w: it is mounted at %s in another mount namespace, that of process %d; end it with `kill %d`",
			rw.Name, store.ErrInUse, m.Target, m.PID, m.PID)
	}
	// Somebody else may have unmounted it just now; then there is its process to wait for all the same.
	if here {
		if err := fusefs.Unmount(target, lazy); err != nil && !errors.Is(err, fusefs.ErrNotMounted) {
			return err
		}
	}
	if lazy {
		return nil // it ends when its last user does
	}
	return settle(rw)
}

// isHere tells whether this mount namespace has the recorded mount m where it was made.
func isHere(m *store.Mount) (bool, error) {
	if m == nil {
		return false, nil
	}
	point, found, err := fusefs.Find(m.Target)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil // its directory is gone, and so is what was mounted there
	}
	return found && point.Device == m.Device, err
}

// elsewhere tells whether a process of this user lives in another mount namespace.
func elsewhere(pid int) bool {
	own, err1 := os.Readlink("/proc/self/ns/mnt")
	its, err2 := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "ns/mnt"))
	return err1 == nil && err2 == nil && own != its
}

// Limits of the wait for the process behind a mount. While it serves, the kernel still has the mount somewhere; that
// should be over at once. Afterwards it may have much to write to a slow disk.
const (
	serveWait = 30 * time.Second
	writeWait = 10 * time.Minute
)

// settle returns when the process behind rw has ended, which gives up its lock. It clears its record of the mount
// only when all it has written is durable.
func settle(rw *store.RW) error {
	for start := time.Now(); ; {
		unlock, err := rw.Lock()
		switch {
		case err == nil:
			defer unlock()
			return settled(rw)
		case errors.Is(err, store.ErrNotFound): // removed by somebody else meanwhile
			return nil
		case !errors.Is(err, store.ErrInUse):
			return err
		case time.Since(start) > writeWait:
			return fmt.Errorf("unmounted, but its process does not end: %w", err)
		case time.Since(start) > serveWait:
			if m, err := rw.Mount(); err == nil && m != nil && serves(m.PID) {
				return fmt.Errorf("rw layer %s: %w: it is unmounted here, but a container or sandbox that was started meanwhile has a copy of the mount; process %d ends with the last of them",
					rw.Name, store.ErrInUse, m.PID)
			}
		}
		// Lock has waited a little by itself.
	}
}

// settled looks at what the process behind rw left when it ended.
func settled(rw *store.RW) error {
	m, err := rw.Mount()
	if err != nil || m == nil {
		return err
	}
	return errors.Join(
		fmt.Errorf("rw layer %s is unmounted, but its process could not write everything to disk; see %s", rw.Name, filepath.Join(rw.Dir(), logName)),
		rw.ClearMount())
}

// serves tells whether a process of this user still has its end of a FUSE mount. The mount table does not say: a mount
// namespace that was made while the mount was there keeps a copy of it, and the kernel ends a file system with its
// last mount.
func serves(pid int) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	fds, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, fd := range fds {
		if path, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && path == "/dev/fuse" {
			return true
		}
	}
	return false
}
