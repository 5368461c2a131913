package fusefs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// attach mounts on target and returns the descriptor of /dev/fuse that serves
// it. There are two ways. With CAP_SYS_ADMIN (root, or root of a user
// namespace that has its own mount namespace) it is mount(2). Otherwise the
// setuid helper fusermount3 mounts for us and hands the descriptor over.
//
// go-fuse can do both itself; but its errors lose what the helper said.
func attach(target string, o Options, direct bool) (fd int, err error) {
	if direct {
		return attachDirect(target, o)
	}
	return attachHelper(target, o)
}

// canMount tells whether this process may call mount(2).
func canMount() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return os.Geteuid() == 0
	}
	return data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

func attachDirect(target string, o Options) (int, error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open /dev/fuse: %w (layerfs doctor tells what is missing)", err)
	}
	data := []string{
		fmt.Sprintf("fd=%d", fd),
		fmt.Sprintf("rootmode=%o", unix.S_IFDIR),
		fmt.Sprintf("user_id=%d", os.Geteuid()),
		fmt.Sprintf("group_id=%d", os.Getegid()),
	}
	data = append(data, o.checks()...)
	err = unix.Mount(o.source(), target, o.fstype(), o.flags(), strings.Join(data, ","))
	if err == nil {
		return fd, nil
	}
	_ = unix.Close(fd)
	switch err {
	case unix.EPERM:
		return -1, fmt.Errorf("mount on %s: %w; a user namespace needs a mount namespace of its own (unshare -rm)", target, err)
	case unix.ENODEV:
		return -1, fmt.Errorf("mount on %s: %w; the kernel has no FUSE (modprobe fuse)", target, err)
	}
	return -1, fmt.Errorf("mount on %s: %w", target, err)
}

// checks are the two options that decide who may do what; see doc.go.
func (o *Options) checks() []string {
	var s []string
	if o.DefaultPermissions {
		s = append(s, "default_permissions")
	}
	if o.AllowOther {
		s = append(s, "allow_other")
	}
	return s
}

// errNoHelper is what a machine without fuse3 gets.
var errNoHelper = errors.New("fusermount3 is not installed; install the package fuse3")

func helper() (string, error) {
	for _, name := range []string{"fusermount3", "/bin/fusermount3", "/usr/bin/fusermount3", "fusermount"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNoHelper
}

func attachHelper(target string, o Options) (int, error) {
	bin, err := helper()
	if err != nil {
		return -1, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socketpair", err)
	}
	ours := os.NewFile(uintptr(pair[0]), "fusermount3 socket")
	theirs := os.NewFile(uintptr(pair[1]), "fusermount3 socket")
	defer ours.Close()

	opts := append([]string{"fsname=" + escapeOption(o.source()), "subtype=" + escapeOption(strings.TrimPrefix(o.fstype(), "fuse."))}, o.checks()...)
	cmd := exec.Command(bin, "-o", strings.Join(append(opts, o.words()...), ","), "--", target)
	cmd.ExtraFiles = []*os.File{theirs} // descriptor 3 of the helper
	cmd.Env = append(os.Environ(), "_FUSE_COMMFD=3")
	cmd.SysProcAttr = apart()
	var said bytes.Buffer
	cmd.Stderr = &said
	err = cmd.Run()
	_ = theirs.Close() // now a helper that sent nothing reads as end of file
	if err != nil {
		return -1, helperError("mount on "+target, said.String(), err)
	}
	fd, err := receiveFD(pair[0])
	if err != nil {
		return -1, fmt.Errorf("mount on %s: %s sent no descriptor: %w", target, bin, err)
	}
	return fd, nil
}

// words are the kernel flags spelled for fusermount3.
func (o *Options) words() []string {
	var words []string
	flags := o.flags()
	for word, f := range kernelFlags {
		if f.on && flags&f.bit != 0 {
			words = append(words, word)
		}
	}
	return words
}

// helperError makes one error of the helper's exit status and its words.
func helperError(what, said string, err error) error {
	said = strings.TrimSpace(said)
	switch {
	case said == "":
		return fmt.Errorf("%s: fusermount3: %w", what, err)
	case strings.Contains(said, "allow_other"):
		return fmt.Errorf("%s: %s (the machine's administrator can allow it with the line user_allow_other in /etc/fuse.conf)", what, said)
	case strings.Contains(said, unix.EBUSY.Error()), strings.Contains(said, "Device or resource busy"):
		return fmt.Errorf("%s: %w: %s", what, ErrBusy, said)
	}
	return fmt.Errorf("%s: %s", what, said)
}

func escapeOption(v string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(v)
}

// receiveFD takes the one descriptor that the helper sends.
func receiveFD(socket int) (int, error) {
	var data [1]byte
	control := make([]byte, unix.CmsgSpace(4))
	for {
		_, n, _, _, err := unix.Recvmsg(socket, data[:], control, unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, os.NewSyscallError("recvmsg", err)
		}
		messages, err := unix.ParseSocketControlMessage(control[:n])
		if err != nil || len(messages) != 1 {
			return -1, errors.New("no control message")
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil || len(fds) != 1 {
			return -1, errors.New("no descriptor in the control message")
		}
		return fds[0], nil
	}
}
