package fusefs

import (
	"bytes"
	"fmt"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Unmount unmounts the FUSE mount at target. ErrNotMounted when there is none,
// ErrBusy when it is in use. lazy detaches a mount that is in use: it goes out
// of sight now, and ends when its last user is gone. Unmount returns when the
// kernel has let go; the program behind the mount may still be exiting.
func Unmount(target string, lazy bool) error {
	m, found, err := Find(target)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w: %s", ErrNotMounted, target)
	}
	if !m.IsFUSE() {
		return fmt.Errorf("%w: %s is a mount of type %s; use umount", ErrNotMounted, target, m.FSType)
	}
	return unmount(m.Target, lazy)
}

// apart keeps the helper alive when the user's terminal interrupts us.
func apart() *unix.SysProcAttr { return &unix.SysProcAttr{Setpgid: true} }

func unmount(path string, lazy bool) error {
	if canMount() {
		flags := unix.UMOUNT_NOFOLLOW
		if lazy {
			flags |= unix.MNT_DETACH
		}
		switch err := unix.Unmount(path, flags); err {
		case nil:
			return nil
		case unix.EBUSY:
			return fmt.Errorf("unmount %s: %w; fuser -vm %s shows by whom", path, ErrBusy, path)
		case unix.EINVAL:
			return fmt.Errorf("%w: %s", ErrNotMounted, path)
		default:
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
	bin, err := helper()
	if err != nil {
		return err
	}
	args := []string{"-u"}
	if lazy {
		args = append(args, "-z")
	}
	cmd := exec.Command(bin, append(args, "--", path)...)
	cmd.SysProcAttr = apart()
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return helperError("unmount "+path, said.String(), err)
	}
	return nil
}
