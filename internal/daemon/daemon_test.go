package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain is the program that the tests put into the background: this very
// test binary, with an argument that says what to do.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "child" {
		child(os.Args[2], os.Args[3:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(what string, args []string) {
	switch what {
	case "parent": // a process with a foreign descriptor that starts a child and prints its pid
		pid, err := Start(context.Background(), Command{Args: []string{"child", "serve", args[0]}})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(pid)
		return
	case "exit":
		os.Exit(7)
	case "panic":
		panic("a programming error")
	}
	if what == "foreground" { // until SIGHUP
		done := make(chan struct{})
		signals := Catch()
		write(args[0], "ready")
		signals.Until(done, func() error { close(done); return nil }, func(error) {})
		return
	}
	s, err := Inherit()
	if err != nil {
		panic(err)
	}
	switch what {
	case "fail":
		_ = s.Fail(4, errors.New("the layer is in use"))
	case "garbage":
		_, _ = s.pipe.WriteString("what?\n")
	case "hang":
		time.Sleep(time.Hour)
	case "serve": // until SIGTERM; refuses the first one
		done := make(chan struct{})
		refused := false
		signals := Catch()
		report(args[0])
		if err := s.Ready(); err != nil {
			panic(err)
		}
		signals.Until(done, func() error {
			if !refused {
				refused = true
				return errors.New("busy")
			}
			close(done)
			return nil
		}, func(err error) { write(args[0]+".busy", err.Error()) })
		write(args[0]+".ended", "yes")
	}
}

// report writes down what the child has of its parent: directory, session,
// status variable and descriptors.
func report(path string) {
	dir, _ := os.Getwd()
	sid, _ := unix.Getsid(0)
	_, leaked := os.LookupEnv(statusEnv)
	var b strings.Builder
	fmt.Fprintf(&b, "dir=%s\nleader=%v\nenv=%v\nadded=%s\n", dir, sid == os.Getpid(), leaked, os.Getenv("ADDED"))
	for fd := range 64 {
		if to, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil {
			fmt.Fprintf(&b, "fd %d %s\n", fd, to)
		}
	}
	write(path, b.String())
}

func write(path, text string) {
	if err := os.WriteFile(path+".tmp", []byte(text), 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		panic(err)
	}
}

func TestServe(t *testing.T) {
	dir := t.TempDir()
	out, log := filepath.Join(dir, "report"), filepath.Join(dir, "log")
	pid, err := Start(t.Context(), Command{Args: []string{"child", "serve", out}, Env: []string{"ADDED=here"}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(read(t, out)), "\n")
	for _, want := range []string{"dir=/", "leader=true", "env=false", "added=here", "fd 0 /dev/null", "fd 1 /dev/null", "fd 2 " + log} {
		if !slices.Contains(lines, want) {
			t.Errorf("the child reports no %q:\n%s", want, strings.Join(lines, "\n"))
		}
	}
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM} {
		if err := syscall.Kill(pid, sig); err != nil {
			t.Fatal(err)
		}
	}
	if got := waitFor(t, out+".busy"); got != "busy" {
		t.Errorf("complaint %q, want busy", got)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatalf("the child ended at a stop that failed, or at SIGHUP: %v", err)
	}
	waitFor(t, out+".ended")
}

// TestNothingInherited starts the child from a process that itself inherited a
// pipe from a shell-like parent: the pipe must end although the child lives.
func TestNothingInherited(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out := filepath.Join(t.TempDir(), "report")
	cmd := exec.Command("/proc/self/exe", "child", "parent", out)
	cmd.ExtraFiles = []*os.File{w}
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	w.Close()
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	if err := r.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the child holds its grandparent's pipe open: read gave %d, %v", n, err)
	}
}

func TestFailures(t *testing.T) {
	for _, c := range []struct {
		child string
		code  int
		text  string
	}{
		{"fail", 4, "the layer is in use"},
		{"exit", 1, "ended early (exit status 7)"},
		{"garbage", 1, "no proper status"},
		{"panic", 1, "LOG"},
	} {
		t.Run(c.child, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "log")
			_, err := Start(t.Context(), Command{Args: []string{"child", c.child}, Log: log})
			var f *Failure
			if !errors.As(err, &f) {
				t.Fatalf("Start gave %v, want a *Failure", err)
			}
			if want := strings.ReplaceAll(c.text, "LOG", log); f.Code != c.code || !strings.Contains(f.Text, want) {
				t.Errorf("code %d %q, want code %d and %q", f.Code, f.Text, c.code, want)
			}
			if c.child == "panic" && !strings.Contains(read(t, log), "a programming error") {
				t.Error("the panic is not in the log")
			}
		})
	}
}

func TestForegroundEndsAtHangup(t *testing.T) {
	out := filepath.Join(t.TempDir(), "report")
	cmd := exec.Command("/proc/self/exe", "child", "foreground", out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, out)
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process did not end by itself: %v", err)
	}
}

func TestCancelKills(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := Start(ctx, Command{Args: []string{"child", "hang"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("Start gave %v, want context.Canceled", err)
	}
}

func TestLogCannotBeOpened(t *testing.T) {
	_, err := Start(t.Context(), Command{Args: []string{"child", "fail"}, Log: filepath.Join(t.TempDir(), "none", "log")})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Start gave %v, want os.ErrNotExist", err)
	}
}

func TestInheritWithoutParent(t *testing.T) {
	for _, v := range []string{"", "x", "1", "999999"} {
		t.Run("fd="+v, func(t *testing.T) {
			if v != "" {
				t.Setenv(statusEnv, v)
			}
			if _, err := Inherit(); !errors.Is(err, ErrNotStarted) {
				t.Errorf("Inherit gave %v, want ErrNotStarted", err)
			}
		})
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func waitFor(t *testing.T, path string) string {
	t.Helper()
	for range 1000 {
		if b, err := os.ReadFile(path); err == nil {
			return string(b)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s never came", path)
	return ""
}
