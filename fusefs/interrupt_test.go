package fusefs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

func TestKilled(t *testing.T) {
	if killed(uint32(os.Getpid())) {
		t.Error("this process is taken for killed")
	}
	if killed(0) {
		t.Error("a caller from another pid namespace is taken for killed")
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if killed(uint32(cmd.Process.Pid)) {
		t.Error("a living process is taken for killed")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if !killed(uint32(cmd.Process.Pid)) {
		t.Error("a process that is gone is taken to live")
	}
}

func TestUntilKilled(t *testing.T) {
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	alive, dead := uint32(os.Getpid()), uint32(gone.Process.Pid)
	interrupted := fmt.Errorf("copy up: %w", syscall.EINTR)
	for _, c := range []struct {
		name  string
		pid   uint32
		fails []error // one for each run
		want  error
	}{
		{"not interrupted", alive, []error{nil}, nil},
		{"another error", alive, []error{syscall.ENOSPC}, syscall.ENOSPC},
		{"a signal that is handled", alive, []error{interrupted, nil}, nil},
		{"an error after the signal", alive, []error{interrupted, syscall.ENOSPC}, syscall.ENOSPC},
		{"a killed caller", dead, []error{interrupted}, syscall.EINTR},
	} {
		t.Run(c.name, func(t *testing.T) {
			runs := 0
			err := untilKilled(nil, c.pid, func(<-chan struct{}) error {
				runs++
				return c.fails[runs-1]
			})
			if !errors.Is(err, c.want) || runs != len(c.fails) {
				t.Errorf("%v after %d runs, want %v after %d", err, runs, c.want, len(c.fails))
			}
		})
	}
}

// TestKilledWhileCopying has the caller die during the second run.
func TestKilledWhileCopying(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	runs := 0
	err := untilKilled(nil, uint32(cmd.Process.Pid), func(cancel <-chan struct{}) error {
		runs++
		if runs == 2 {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			<-cancel
		}
		return syscall.EINTR
	})
	if !errors.Is(err, syscall.EINTR) || runs != 2 {
		t.Errorf("%v after %d runs, want EINTR after 2", err, runs)
	}
}
