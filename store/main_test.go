package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/layerfs/layerfs/internal/durable"
	"github.com/layerfs/layerfs/store"
)

// childEnv makes the test binary a child that runs one operation on a store: "operation root argument...".
const childEnv = "LAYERFS_STORE_TEST_CHILD"

// children are the operations that a child can run.
var children = map[string]func(s *store.Store, args []string) error{}

func TestMain(m *testing.M) {
	if job := os.Getenv(childEnv); job != "" {
		if err := runChild(strings.Split(job, " ")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func runChild(job []string) error {
	f, ok := children[job[0]]
	if !ok {
		return fmt.Errorf("no child operation %q", job[0])
	}
	s, err := store.Open(job[1], store.Options{})
	if err != nil {
		return err
	}
	return f(s, job[2:])
}

// child prepares a process that runs an operation.
func child(ctx context.Context, op, root string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(append([]string{op, root}, args...), " "))
	cmd.Stderr = os.Stderr
	return cmd
}

// killAt makes this process kill itself at the n-th step that it reaches, counted from 1.
func killAt(n int) {
	var at atomic.Int64
	durable.Intercept(func(string) error {
		if at.Add(1) == int64(n) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal is on its way
		}
		return nil
	})
}

// A child that runs one of the operations of stop_test.go and dies on the way.
func init() {
	children["stop"] = func(s *store.Store, args []string) error {
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		for _, op := range operations {
			if op.name == args[0] {
				killAt(n)
				return op.run(s)
			}
		}
		return errors.New("no operation " + args[0])
	}
}
