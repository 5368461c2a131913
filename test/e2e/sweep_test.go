package e2e

import (
	"os"
	"path/filepath"
	"syscall"
)

// hold marks a folder as in use by this process, for as long as it lives.
func hold(base string) error {
	// Never closed: the lock ends with the process, however that ends.
	lock, err := syscall.Open(filepath.Join(base, "lock"), syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	return syscall.Flock(lock, syscall.LOCK_EX|syscall.LOCK_NB)
}

// sweep removes what earlier runs have left that were killed or timed out before
// they could clean up: folders that nobody holds.
func sweep(parent string) {
	bases, _ := filepath.Glob(filepath.Join(parent, basePattern))
	for _, base := range bases {
		lock, err := os.OpenFile(filepath.Join(base, "lock"), os.O_RDWR, 0)
		if err != nil {
			continue // another user's, or not set up yet
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			discard(base)
		}
		lock.Close()
	}
}

// discard ends every process that was started below base, unmounts and removes everything.
func discard(base string) {
	for pid := range processes(boxTag(base)) {
		killAndWait(pid)
	}
	unmountBelow(base)
	_ = os.RemoveAll(base)
}
