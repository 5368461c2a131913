package store_test

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// asPlainUser runs f as somebody who is not root. For root a thread gives its privileges up; it ends with f.
func asPlainUser(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked, so that nobody else gets the thread
		const nobody = 65534
		// The raw call changes this thread only.
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			t.Errorf("become a plain user: %v", errno)
			return
		}
		f()
	}()
	<-done
}
