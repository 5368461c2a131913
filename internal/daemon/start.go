package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// statusEnv tells the child which descriptor is the status pipe.
const statusEnv = "LAYERFS_STATUS_FD"

// A Command is what to run in the background.
type Command struct {
	Args []string // the arguments of this same program, without its name; paths must be absolute
	Env  []string // added to the environment
	Log  string   // file to append standard error to (mode 0600); "" for none
}

// A Failure is the end of a child that never got ready.
type Failure struct {
	Code int    // what the program should exit with
	Text string // what the child said
}

func (f *Failure) Error() string { return f.Text }

// message is what the child writes to the status pipe, as one JSON value.
type message struct {
	Ready bool   `json:"ready"`
	Code  int    `json:"code,omitempty"`
	Text  string `json:"text,omitempty"`
}

// Start runs c in the background and returns when the child has called Ready:
// its process id, or a *Failure with the child's words. When ctx ends before,
// the child is killed.
func Start(ctx context.Context, c Command) (pid int, err error) {
	if err := closeOnExec(); err != nil {
		return 0, err
	}
	status, theirs, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer status.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		_ = theirs.Close()
		return 0, err
	}
	defer null.Close()

	// Not the path of the program: an upgrade may have replaced that file.
	cmd := exec.Command("/proc/self/exe", c.Args...)
	cmd.Args[0] = os.Args[0]
	cmd.Dir = "/"
	cmd.Env = append(append(os.Environ(), c.Env...), statusEnv+"=3")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = null, null, null
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if c.Log != "" {
		log, err := os.OpenFile(c.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			_ = theirs.Close()
			return 0, fmt.Errorf("log of the background process: %w", err)
		}
		defer log.Close()
		cmd.Stderr = log
	}
	err = cmd.Start()
	_ = theirs.Close() // so that the pipe ends when the child does
	if err != nil {
		return 0, fmt.Errorf("start the background process: %w", err)
	}

	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	var m message
	if err := json.NewDecoder(status).Decode(&m); err == nil && m.Ready {
		pid := cmd.Process.Pid
		return pid, cmd.Process.Release()
	} else if err != nil && !errors.Is(err, io.EOF) {
		m.Text = fmt.Sprintf("the background process sent no proper status: %v", err)
		_ = cmd.Process.Kill()
	}
	wait := cmd.Wait()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if m.Text == "" {
		m.Text = fmt.Sprintf("the background process ended early (%v)", wait)
		if c.Log != "" {
			m.Text += "; see " + c.Log
		}
	}
	if m.Code == 0 {
		m.Code = 1
	}
	return 0, &Failure{Code: m.Code, Text: m.Text}
}

// closeOnExec keeps from the child what this process got from its own parent:
// Go marks only the descriptors that it opened itself.
func closeOnExec() error {
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list own descriptors: %w", err)
	}
	for _, e := range dir {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			return fmt.Errorf("list own descriptors: %w", err)
		}
		if fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}
