package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

// A Status is the child's end of the pipe. Its first message is its last.
type Status struct{ pipe *os.File }

// ErrNotStarted says that this process was not started by Start.
var ErrNotStarted = errors.New("not started as a background process")

// Inherit finds the status pipe that Start has left for this process. It can be
// called once, early: processes that this one starts do not get the pipe. From
// now on SIGHUP is ignored: there is no terminal to lose.
func Inherit() (*Status, error) {
	v, ok := os.LookupEnv(statusEnv)
	if !ok {
		return nil, ErrNotStarted
	}
	fd, err := strconv.Atoi(v)
	if err != nil || fd <= 2 {
		return nil, fmt.Errorf("%w: %s=%q", ErrNotStarted, statusEnv, v)
	}
	if err := os.Unsetenv(statusEnv); err != nil {
		return nil, err
	}
	syscall.CloseOnExec(fd)
	pipe := os.NewFile(uintptr(fd), "status pipe")
	if st, err := pipe.Stat(); err != nil || st.Mode()&os.ModeNamedPipe == 0 {
		return nil, fmt.Errorf("%w: descriptor %d is no pipe", ErrNotStarted, fd)
	}
	signal.Ignore(syscall.SIGHUP)
	return &Status{pipe: pipe}, nil
}

// Ready lets the parent return with success. An error means that the parent is
// gone; nobody knows then that this process runs.
func (s *Status) Ready() error { return s.send(message{Ready: true}) }

// Fail lets the parent fail with err's text and the exit code.
func (s *Status) Fail(code int, err error) error {
	return s.send(message{Code: code, Text: err.Error()})
}

func (s *Status) send(m message) error {
	err := json.NewEncoder(s.pipe).Encode(m)
	if cerr := s.pipe.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("report to the parent: %w", err)
	}
	return nil
}

// Signals are the ones that ask this process to end.
type Signals struct{ c chan os.Signal }

// Catch catches SIGTERM, SIGINT and, in the foreground, SIGHUP from now on: one
// that comes before Until waits for it. Call it before anything is mounted.
func Catch() *Signals {
	s := &Signals{c: make(chan os.Signal, 1)}
	signal.Notify(s.c, syscall.SIGTERM, syscall.SIGINT)
	if !signal.Ignored(syscall.SIGHUP) { // by Inherit, or by nohup(1)
		signal.Notify(s.c, syscall.SIGHUP)
	}
	return s
}

// Until waits for done. Each signal calls stop, which shall bring done about;
// if it cannot (a mount is in use), complain gets its error and the wait goes on.
func (s *Signals) Until(done <-chan struct{}, stop func() error, complain func(error)) {
	defer signal.Stop(s.c)
	for {
		select {
		case <-done:
			return
		case <-s.c:
			if err := stop(); err != nil {
				complain(err)
			}
		}
	}
}
