package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// work is something done in a mount. It returns how many entries or bytes it has met, for comparison.
type work func(ctx context.Context, m *mount) (int64, error)

// measure does work and measures it, the daemon's part, too.
func measure(ctx context.Context, m *mount, do work) (sample, error) {
	var s sample
	var err error
	if m.pid != 0 {
		if s.CPU, err = cpuOf(m.pid); err != nil {
			return s, err
		}
	}
	client := clientCPU()
	start := time.Now()
	s.Count, err = do(ctx, m)
	s.Seconds = time.Since(start).Seconds()
	s.ClientCPU = clientCPU() - client
	if err != nil || m.pid == 0 {
		return s, err
	}
	// What the kernel still holds back for the daemon is work, too.
	if err := syncfs(m.dir); err != nil {
		return s, err
	}
	after, err := cpuOf(m.pid)
	if err != nil {
		return s, err
	}
	s.CPU = after - s.CPU
	s.Peak, s.Resident, err = memoryOf(m.pid)
	return s, err
}

// onMounts makes an entrant of every side that mounts: a fresh mount, then what tells.
func (b *bench) onMounts(ctx context.Context, im *image, do func(context.Context, *mount) ([]pass, error)) ([]entrant, error) {
	if err := b.unpack(ctx, im); err != nil {
		return nil, err
	}
	var entrants []entrant
	for _, s := range b.sides {
		entrants = append(entrants, entrant{s.name, func(ctx context.Context) ([]pass, error) {
			if err := b.cool(); err != nil {
				return nil, err
			}
			m, err := s.mount(ctx, im)
			if err != nil {
				return nil, err
			}
			passes, err := do(ctx, m)
			return passes, errors.Join(err, m.unmount())
		}})
	}
	return entrants, nil
}

// coldAndWarm does the same twice on one mount.
func (b *bench) coldAndWarm(do work) func(context.Context, *mount) ([]pass, error) {
	return func(ctx context.Context, m *mount) ([]pass, error) {
		cold, err := measure(ctx, m, do)
		if err != nil {
			return nil, err
		}
		warm, err := measure(ctx, m, do)
		passes := []pass{{"cold", cold}, {"warm", warm}}
		if m.bare && !b.drop {
			passes = passes[1:] // nothing has made it cold
		}
		return passes, err
	}
}

// tool runs a program in the mount. It returns how many bytes, or lines if so wanted, it prints.
func (b *bench) tool(lines bool, name string, args ...string) work {
	return func(ctx context.Context, m *mount) (int64, error) {
		cmd := b.command(ctx, name, args...)
		cmd.Dir = m.dir
		out := &tally{lines: lines}
		cmd.Stdout = out
		err := finish(cmd, cmd.Run)
		return out.n, err
	}
}

// tally counts what is written to it.
type tally struct {
	lines bool
	n     int64
}

func (t *tally) Write(p []byte) (int, error) {
	if t.lines {
		t.n += int64(bytes.Count(p, []byte{'\n'}))
	} else {
		t.n += int64(len(p))
	}
	return len(p), nil
}

// within opens the root of a mount for the calls of do.
func within(m *mount, do func(root int) (int64, error)) (int64, error) {
	root, err := unix.Open(m.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open %s: %w", m.dir, err)
	}
	defer unix.Close(root)
	return do(root)
}

// openIn opens a file below a mount's root.
func openIn(root int, name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(root, name, flags|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// each calls do for every name until it fails or the run is interrupted.
func each(ctx context.Context, names []string, do func(name string) error) error {
	for i, name := range names {
		if i%64 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := do(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// cancellable ends a copy with the run.
type cancellable struct {
	context.Context
	io.Reader
}

func (c cancellable) Read(p []byte) (int, error) {
	if err := c.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}
