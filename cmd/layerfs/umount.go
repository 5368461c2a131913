package main

import (
	"errors"
	"fmt"
	"path/filepath"
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
		if m, err := rw.Mount(); err == nil && m != nil && filepath.Clean(m.Target) == point.Target {
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
	// Somebody else may have unmounted it just now; then there is its process to wait for all the same.
	if err := fusefs.Unmount(target, lazy); err != nil && !errors.Is(err, fusefs.ErrNotMounted) {
		return err
	}
	if lazy {
		return nil // it ends when its last user does
	}
	return settle(rw)
}

// endWait is how long umount waits for the process behind a mount, which may have much to write to a slow disk.
const endWait = 10 * time.Minute

// settle returns when the process behind rw has ended, which gives up its lock. It clears its record of the mount
// only when all it has written is durable.
func settle(rw *store.RW) error {
	for deadline := time.Now().Add(endWait); ; {
		unlock, err := rw.Lock()
		switch {
		case errors.Is(err, store.ErrNotFound): // removed by somebody else meanwhile
			return nil
		case errors.Is(err, store.ErrInUse) && time.Now().Before(deadline):
			continue // Lock has waited a little by itself
		case err != nil:
			return fmt.Errorf("unmounted, but its process has not ended: %w", err)
		}
		defer unlock()
		m, err := rw.Mount()
		if err != nil || m == nil {
			return err
		}
		return errors.Join(
			fmt.Errorf("rw layer %s is unmounted, but its process could not write everything to disk; see %s", rw.Name, filepath.Join(rw.Dir(), logName)),
			rw.ClearMount())
	}
}
