package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// us is the side that is measured; all others are peers.
const us = "layerfs"

// bench is one run: its folder, its programs, its inputs and what it has found.
type bench struct {
	options
	log    io.Writer
	report *report
	dir    string // all files and mount points of the run
	store  string // layerfs' store for mounts
	root   bool
	drop   bool     // kernel caches can be dropped
	env    []string // of all commands

	fuseOverlayfs string // "" when there is none
	sides         []side // that mount
	podman        *podman
	inputs        map[string]*image
	hostTree      map[string][]file // files of /usr by directory

	mu     sync.Mutex
	mounts []*mount // alive, newest last
	serial int
}

// newBench makes the run's folder.
func newBench(o options, log io.Writer) (*bench, error) {
	if o.parent == "" {
		// Not /tmp, which is in memory on many systems.
		o.parent = "/var/tmp"
		if own := os.Getenv("TMPDIR"); own != "" {
			o.parent = own
		}
	}
	var space unix.Statfs_t
	if err := unix.Statfs(o.parent, &space); err != nil {
		return nil, fmt.Errorf("%s: %w; choose another folder with -dir", o.parent, err)
	}
	if free := int64(space.Bavail) * space.Bsize; free < o.disk {
		return nil, fmt.Errorf("%s has %d MB free, the %s form needs %d; choose another folder with -dir",
			o.parent, free>>20, o.mode, o.disk>>20)
	}
	layerfs, err := findLayerfs(o.layerfs)
	if err != nil {
		return nil, err
	}
	o.layerfs = layerfs
	dir, err := os.MkdirTemp(o.parent, "layerfs-bench-")
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	b := &bench{
		options: o, log: log, report: &report{}, dir: dir, store: filepath.Join(dir, "store"),
		root: os.Geteuid() == 0, inputs: make(map[string]*image),
	}
	// Tiny runs are done where others work; they leave the machine's caches alone.
	b.drop = b.root && o.mode != tinySize.mode
	for _, d := range []string{"home", "run", "tmp"} {
		if err := os.Mkdir(b.path(d), 0o700); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	b.env = []string{
		"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "LC_ALL=C", "TZ=UTC",
		"HOME=" + b.path("home"), "XDG_RUNTIME_DIR=" + b.path("run"), "TMPDIR=" + b.path("tmp"),
		"CONTAINERS_CONF=" + b.path("home", "containers.conf"),
	}
	if b.profile != "" {
		b.env = append(b.env, "LAYERFS_CPUPROFILE="+b.profile) // the peers do not know it
	}
	return b, nil
}

// findLayerfs makes the path of the program absolute.
func findLayerfs(chosen string) (string, error) {
	if chosen == "" {
		chosen = os.Getenv("LAYERFS_BIN")
	}
	if chosen == "" {
		chosen = "layerfs"
		if _, err := os.Stat("bin/layerfs"); err == nil {
			chosen = "bin/layerfs"
		}
	}
	path, err := exec.LookPath(chosen)
	if err != nil {
		return "", fmt.Errorf("%w; run `make build`, or name the program with -layerfs", err)
	}
	return filepath.Abs(path)
}

func (b *bench) path(elem ...string) string {
	return filepath.Join(append([]string{b.dir}, elem...)...)
}

// fresh makes a new empty folder.
func (b *bench) fresh(what string) (string, error) {
	b.mu.Lock()
	b.serial++
	dir := b.path(fmt.Sprintf("%s-%d", what, b.serial))
	b.mu.Unlock()
	return dir, os.Mkdir(dir, 0o755)
}

func (b *bench) logf(format string, args ...any) {
	fmt.Fprintf(b.log, "bench: "+format+"\n", args...)
}

// command is a program of the run. It has a process group of its own: an interrupt at the terminal is for the
// benchmark, which ends its children by itself.
func (b *bench) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = b.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// do runs a command and returns its standard output without the last newline.
func (b *bench) do(ctx context.Context, name string, args ...string) (string, error) {
	cmd := b.command(ctx, name, args...)
	var out bytes.Buffer
	cmd.Stdout = &out
	err := finish(cmd, cmd.Run)
	return strings.TrimRight(out.String(), "\n"), err
}

// finish runs the command by how and puts the end of its standard error into the error.
func finish(cmd *exec.Cmd, how func() error) error {
	var text bytes.Buffer
	cmd.Stderr = &text
	err := how()
	if err == nil {
		return nil
	}
	said := strings.TrimSpace(text.String())
	if cut := len(said) - 300; cut > 0 {
		said = "..." + said[cut:]
	}
	return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, said)
}

// cool writes everything back, so that nobody pays for what another one wrote, and forgets the kernel's caches
// where that is allowed.
func (b *bench) cool() error {
	if err := syncfs(b.dir); err != nil || !b.drop {
		return err
	}
	return os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)
}

func syncfs(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

// patience is how long an interrupted run waits for calls into a mount to return.
const patience = 20 * time.Second

// rescue ends daemons that keep an interrupted run from ending: a call into a mount that does not answer returns
// only when its daemon has gone.
func (b *bench) rescue() {
	time.Sleep(patience)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.mounts {
		if m.pid != 0 {
			b.logf("%s does not answer; ending its process %d", m.dir, m.pid)
			_ = syscall.Kill(m.pid, syscall.SIGKILL) // it may just have ended
		}
	}
}

// clear takes down what is still mounted and removes the run's folder. It does not know of interrupts.
func (b *bench) clear() error {
	var errs []error
	for _, m := range slices.Backward(slices.Clone(b.mounts)) {
		errs = append(errs, m.unmount())
	}
	errs = append(errs, b.podman.clear())
	for _, target := range slices.Backward(mountsBelow(b.dir)) {
		// What a peer left, or a mount whose process died.
		errs = append(errs, b.detach(target))
	}
	errs = append(errs, removeAll(b.dir))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("clear up %s: %w", b.dir, err)
	}
	return nil
}

// detach takes down one mount, busy or not.
func (b *bench) detach(target string) error {
	if b.root {
		return unix.Unmount(target, unix.MNT_DETACH)
	}
	_, err := b.do(context.Background(), "fusermount3", "-u", "-z", target)
	return err
}
