package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/layerfs/layerfs/internal/sys"
)

// lockPatience bridges the moment for which Status of some `layerfs ps` holds the lock of an RW layer.
const lockPatience = 300 * time.Millisecond

// A Mount says where an RW layer is mounted and by which process: rw/<name>/mount.
type Mount struct {
	PID     int       `json:"pid"`
	Target  string    `json:"target"` // absolute path
	Device  uint64    `json:"device"` // st_dev of its files: tells it from another mount at the same path
	Started time.Time `json:"started"`
}

// The states of an RW layer.
const (
	Idle    = "idle"    // nobody uses it
	Mounted = "mounted" // a live process holds its lock
	Dead    = "dead"    // its process died and left the mount behind
)

// Status is the state of an RW layer at one moment.
type Status struct {
	State string `json:"state"`
	Mount *Mount `json:"mount,omitempty"` // nil if idle, or while a mount is being set up
}

// Lock takes the RW layer for this process, as a mount and a removal must. The kernel gives it back when the process
// ends, however it ends. ErrInUse names the process that has it and the mount; ErrNotFound: it was removed.
func (rw *RW) Lock() (unlock func(), err error) {
	l := newLock(filepath.Join(rw.Dir(), "lock"))
	ok, err := tryFor(l, lockPatience)
	if gone(err) {
		return nil, fmt.Errorf("rw layer %s: %w", rw.Name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("lock rw layer %s: %w", rw.Name, err)
	}
	if !ok {
		return nil, rw.inUse()
	}
	// Removed, and perhaps made anew, while we waited for the lock of the old one?
	same, err := sys.SameFile(l, l.Path())
	if err == nil && !same {
		err = ErrNotFound
	}
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("lock rw layer %s: %w", rw.Name, err)
	}
	return func() { _ = l.Close() }, nil
}

// inUse is the error for a lock that somebody else has.
func (rw *RW) inUse() error {
	m, err := rw.Mount()
	if err != nil || m == nil {
		return errors.Join(fmt.Errorf("rw layer %s: %w by another command; try again when it is done", rw.Name, ErrInUse), err)
	}
	return fmt.Errorf("rw layer %s: %w: mounted at %s by process %d; unmount it first with `layerfs umount %s`", rw.Name, ErrInUse, m.Target, m.PID, rw.Name)
}

// SetMount records who mounts the layer, and where. Only the holder of Lock may call it.
func (rw *RW) SetMount(m Mount) error {
	return rw.store.commitRecord("mount", rw.mountPath(), m)
}

// ClearMount says that the layer is mounted no more. Only the holder of Lock may call it. Twice is once.
func (rw *RW) ClearMount() error {
	return sys.RemoveAll(rw.mountPath())
}

// Mount reads what SetMount recorded, nil if nothing. Whether that process lives, Status tells.
func (rw *RW) Mount() (*Mount, error) {
	var m Mount
	if err := readRecord(rw.mountPath(), "mount", &m); gone(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return &m, nil
}

// Status tells whether the layer is mounted.
func (rw *RW) Status() (Status, error) {
	l := newLock(filepath.Join(rw.Dir(), "lock"))
	free, err := l.TryRLock()
	if gone(err) {
		return Status{}, fmt.Errorf("rw layer %s: %w", rw.Name, ErrNotFound)
	}
	if err != nil {
		return Status{}, fmt.Errorf("status of rw layer %s: %w", rw.Name, err)
	}
	_ = l.Close()
	m, err := rw.Mount()
	switch {
	case err != nil:
		return Status{}, err
	case !free:
		return Status{Mounted, m}, nil
	case m != nil:
		return Status{Dead, m}, nil
	}
	return Status{State: Idle}, nil
}

func (rw *RW) mountPath() string { return filepath.Join(rw.Dir(), "mount") }
