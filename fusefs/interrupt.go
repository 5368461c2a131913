package fusefs

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// untilKilled runs a request that may copy a lot of data, and lets only the
// death of its caller cut it short.
//
// The kernel announces every signal the caller gets as an interrupt: timers,
// SIGCHLD, the preemption signals of Go programs. On a disk none of these makes a
// write fail, and programs do not expect it. But the kernel also makes a killed
// caller wait for the reply, so a copy that nobody wants any more has to end.
//
// So op runs first with the kernel's channel: nearly always it is not
// interrupted. If it is and the caller lives, it runs once more and is only
// stopped when the caller is being killed.
func untilKilled(cancel <-chan struct{}, pid uint32, op func(cancel <-chan struct{}) error) error {
	err := op(cancel)
	if !errors.Is(err, syscall.EINTR) || killed(pid) {
		return err
	}
	dying, finished := make(chan struct{}), make(chan struct{})
	defer close(finished)
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-finished:
				return
			case <-tick.C:
				if killed(pid) {
					close(dying)
					return
				}
			}
		}
	}()
	return op(dying)
}

// killed tells whether the thread pid is gone or about to go. Linux marks every
// thread of a process that gets a deadly signal with a pending SIGKILL. pid is 0
// for threads outside our pid namespace, of which nothing is known: they are
// taken to live.
func killed(pid uint32) bool {
	if pid == 0 {
		return false
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH)
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "SigPnd:"); ok {
			pending, err := strconv.ParseUint(strings.TrimSpace(v), 16, 64)
			return err == nil && pending&(1<<(uint(syscall.SIGKILL)-1)) != 0
		}
	}
	return false
}
