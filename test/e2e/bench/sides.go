package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A side makes the tree of an image visible, with a new and empty writable layer.
type side struct {
	name  string
	mount func(ctx context.Context, im *image) (*mount, error)
}

// A mount is one tree that is ready for work.
type mount struct {
	dir  string        // its root; commands work in it, calls relative to it
	pid  int           // of its daemon; 0 if the kernel serves it
	bare bool          // no union: writing into it changes the input itself
	took time.Duration // from the start of the mount until the root answered
	// unmount ends it and removes what was written. It also works after an interrupt. Once only.
	unmount func() error
}

const (
	fuseOverlay   = "fuse-overlayfs"
	kernelOverlay = "kernel overlayfs"
	bareFiles     = "bare"
	scratch       = "bench-scratch" // folder for the write cases in every mount's root
)

// findPeers decides who can take part here. Those who cannot get a note.
func (b *bench) findPeers(ctx context.Context) error {
	b.sides = []side{{us, b.mountLayerfs}}
	name := os.Getenv("FUSE_OVERLAYFS")
	if name == "" {
		name = "fuse-overlayfs"
	}
	if path, err := exec.LookPath(name); err != nil {
		b.report.note("%s is left out: %v; install it or set FUSE_OVERLAYFS", fuseOverlay, err)
	} else if b.fuseOverlayfs, err = filepath.Abs(path); err != nil {
		return err
	}
	tried, err := b.input(ctx, "probe", func() ([][]file, error) { return chain(2, 4), nil }, built)
	if err == nil {
		err = b.unpack(ctx, tried)
	}
	if err != nil {
		return err
	}
	candidates := []side{{kernelOverlay, b.mountKernel}}
	if b.fuseOverlayfs != "" {
		candidates = slices.Insert(candidates, 0, side{fuseOverlay, b.mountFuseOverlayfs})
	}
	for _, s := range candidates {
		m, err := s.mount(ctx, tried)
		if err != nil {
			b.report.note("%s is left out: %v", s.name, err)
			continue
		}
		if err := m.unmount(); err != nil {
			return err
		}
		b.sides = append(b.sides, s)
	}
	b.sides = append(b.sides, side{bareFiles, b.mountBare})
	if !b.drop {
		b.report.note("caches are not dropped (%s): cold means a fresh mount, and the bare file system is always warm",
			map[bool]string{true: "the tiny form never does", false: "that needs root"}[b.root])
	}
	return b.findPodman(ctx)
}

// keep remembers a mount until it is unmounted, so that an interrupt finds it.
func (b *bench) keep(m *mount) *mount {
	end := m.unmount
	m.unmount = func() error {
		b.mu.Lock()
		b.mounts = slices.DeleteFunc(b.mounts, func(other *mount) bool { return other == m })
		b.mu.Unlock()
		return end()
	}
	b.mu.Lock()
	b.mounts = append(b.mounts, m)
	b.mu.Unlock()
	return m
}

// mountWait bounds what a peer may take to mount or to end.
const mountWait = 2 * time.Minute

// mountLayerfs mounts out of the run's store. The time is that of the command, as a user sees it.
func (b *bench) mountLayerfs(ctx context.Context, im *image) (*mount, error) {
	// Not interrupted in the middle, which could leave a mount that nobody knows.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mountWait)
	defer cancel()
	target, err := b.fresh("mount")
	if err != nil {
		return nil, err
	}
	start := time.Now()
	name, err := b.do(ctx, b.layerfs, "--root", b.store, "mount", im.name, target)
	if err != nil {
		return nil, err
	}
	m := b.keep(&mount{dir: target, unmount: func() error {
		ctx, cancel := context.WithTimeout(context.Background(), mountWait)
		defer cancel()
		if _, err := b.do(ctx, b.layerfs, "--root", b.store, "umount", name); err != nil {
			return err
		}
		_, err := b.do(ctx, b.layerfs, "--root", b.store, "rm", name)
		return errors.Join(err, os.Remove(target))
	}})
	if _, err = os.Lstat(target); err == nil {
		m.took = time.Since(start)
		m.pid, err = b.daemonOf(ctx, name)
	}
	if err != nil {
		return nil, errors.Join(err, m.unmount())
	}
	return m, nil
}

// daemonOf asks layerfs which process serves an RW layer.
func (b *bench) daemonOf(ctx context.Context, name string) (int, error) {
	text, err := b.do(ctx, b.layerfs, "--root", b.store, "ps", "--json")
	if err != nil {
		return 0, err
	}
	var rows []struct {
		Name   string
		Status struct{ Mount *struct{ PID int } }
	}
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		return 0, fmt.Errorf("layerfs ps: %w", err)
	}
	for _, r := range rows {
		if r.Name == name && r.Status.Mount != nil {
			return r.Status.Mount.PID, nil
		}
	}
	return 0, fmt.Errorf("layerfs ps does not know the mount of %s", name)
}

// overlayOptions are what fuse-overlayfs and the kernel take alike. The lower directories are relative to
// im.lowers, because the kernel takes a page of options only.
func overlayOptions(im *image, written string) (string, error) {
	var lowers []string
	for i := range im.layers {
		lowers = append(lowers, strconv.Itoa(len(im.layers)-1-i)) // highest first
	}
	upper, work := filepath.Join(written, "upper"), filepath.Join(written, "work")
	if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755)); err != nil {
		return "", err
	}
	return fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", strings.Join(lowers, ":"), upper, work), nil
}

// mountFuseOverlayfs runs the daemon in the foreground, so that its process is known.
func (b *bench) mountFuseOverlayfs(_ context.Context, im *image) (*mount, error) {
	target, err := b.fresh("mount")
	if err != nil {
		return nil, err
	}
	written, err := b.fresh("upper")
	if err != nil {
		return nil, err
	}
	options, err := overlayOptions(im, written)
	if err != nil {
		return nil, err
	}
	cmd := b.command(context.Background(), b.fuseOverlayfs, "-f", "-o", options, target)
	cmd.Dir = im.lowers
	said, err := os.Create(filepath.Join(written, "stderr"))
	if err != nil {
		return nil, err
	}
	defer said.Close()
	cmd.Stderr = said
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended shows in whether it has mounted
		close(ended)
	}()
	m := b.keep(&mount{dir: target, pid: cmd.Process.Pid, unmount: func() error {
		var errs []error
		if isFuse(target) {
			errs = append(errs, b.unmountFuse(target))
		}
		select {
		case <-ended:
		case <-time.After(mountWait):
			errs = append(errs, fmt.Errorf("fuse-overlayfs %d does not end", cmd.Process.Pid), cmd.Process.Kill())
			<-ended
		}
		return errors.Join(append(errs, os.Remove(target), removeAll(written))...)
	}})
	err = awaitFuse(target, ended, start.Add(mountWait))
	m.took = time.Since(start)
	if err != nil {
		// It may hang before it has mounted anything.
		_ = cmd.Process.Kill()
		text, _ := os.ReadFile(said.Name())
		return nil, errors.Join(fmt.Errorf("%w: %s", err, strings.TrimSpace(string(text))), m.unmount())
	}
	return m, nil
}

// awaitFuse returns when the mount on target answers.
func awaitFuse(target string, ended <-chan struct{}, deadline time.Time) error {
	for {
		select {
		case <-ended:
			return errors.New("ended before it had mounted")
		default:
		}
		if isFuse(target) {
			_, err := os.Lstat(target)
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("does not mount")
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// isFuse is also true for a mount whose daemon has died.
func isFuse(dir string) bool {
	var s unix.Statfs_t
	err := unix.Statfs(dir, &s)
	return err == nil && s.Type == unix.FUSE_SUPER_MAGIC || errors.Is(err, unix.ENOTCONN)
}

func (b *bench) unmountFuse(target string) error {
	if b.root {
		return unix.Unmount(target, 0)
	}
	ctx, cancel := context.WithTimeout(context.Background(), mountWait)
	defer cancel()
	_, err := b.do(ctx, "fusermount3", "-u", target)
	return err
}

// mountBare gives the unpacked files themselves.
func (b *bench) mountBare(_ context.Context, im *image) (*mount, error) {
	return b.keep(&mount{dir: im.bare, bare: true, unmount: func() error {
		return os.RemoveAll(filepath.Join(im.bare, scratch))
	}}), nil
}
