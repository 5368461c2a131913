package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// overlayHelper is the first argument of this program when it is started to hold a kernel overlay.
const overlayHelper = "hold-kernel-overlay"

// holdOverlay mounts a kernel overlay in this process's own namespace, says so, and stays until its standard
// input ends; with the process goes the namespace, and with that the mount. So none can be left behind.
func holdOverlay(args []string) int {
	if len(args) != 2 {
		fmt.Fprintln(os.Stderr, "needs TARGET and OPTIONS")
		return 2
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		fmt.Fprintln(os.Stderr, "make mounts private:", err)
		return 1
	}
	if err := unix.Mount("overlay", args[0], "overlay", 0, args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "mount overlay:", err)
		return 1
	}
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return 1
	}
	return 0
}

// mountKernel mounts kernel overlayfs: for root with all it can, for others in a user namespace with userxattr.
// The mount is reached through /proc/PID/root.
func (b *bench) mountKernel(_ context.Context, im *image) (*mount, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
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
	if !b.root {
		options += ",userxattr"
	}
	cmd := b.command(context.Background(), self, overlayHelper, target, options)
	cmd.Dir = im.lowers
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS
	if !b.root {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var said strings.Builder
	cmd.Stderr = &said
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	m := b.keep(&mount{
		dir:  filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "root", target),
		took: time.Since(start),
		unmount: func() error {
			return errors.Join(stdin.Close(), cmd.Wait(), os.Remove(target), removeAll(written))
		},
	})
	if line != "ready\n" {
		return nil, errors.Join(m.unmount(), err, errors.New(strings.TrimSpace(said.String())))
	}
	return m, nil
}
