package doctor

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	fuseDevice = "/dev/fuse"
	fuseConf   = "/etc/fuse.conf"
)

func machine() []Finding {
	return []Finding{
		kernel(),
		device(fuseDevice),
		fusermount(os.Geteuid() == 0),
		allowOther(fuseConf, os.Geteuid() == 0),
		userNamespaces(),
		openFiles(),
	}
}

// kernel names what the running version lacks. The numbers are when mainline got the feature.
func kernel() Finding {
	f := Finding{Name: "kernel", Status: OK}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return Finding{Name: f.Name, Status: Warn, Detail: err.Error(), Fix: "run on Linux 5.8 or newer"}
	}
	release := unix.ByteSliceToString(uts.Release[:])
	f.Detail = "Linux " + release
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		f.Status, f.Detail, f.Fix = Warn, f.Detail+": version not understood", "run on Linux 5.8 or newer"
		return f
	}
	older := func(maj, min int) bool { return major < maj || major == maj && minor < min }
	switch {
	case older(4, 18):
		f.Status = Warn
		f.Detail += ": no FUSE mounts inside user namespaces (4.18), no listings cached without open messages (5.1), no unprivileged whiteouts (5.8)"
	case older(5, 1):
		f.Status = Warn
		f.Detail += ": directory listings need open messages, so they are slower (5.1); no unprivileged whiteouts (5.8)"
	case older(5, 8):
		f.Status = Warn
		f.Detail += ": no unprivileged whiteouts; xattr whiteouts are used instead (5.8)"
	}
	if f.Status != OK {
		f.Fix = "run on Linux 5.8 or newer for everything"
	}
	return f
}

// device tries to open the FUSE device, which is all that a mount asks of it.
func device(path string) Finding {
	f := Finding{Name: fuseDevice}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
		f.Status, f.Detail = OK, "can be opened"
		return f
	}
	f.Status = Fail
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Detail = "is not there"
		f.Fix = "as root: modprobe fuse; in a container: start it with --device /dev/fuse"
	case errors.Is(err, fs.ErrPermission):
		f.Detail = "cannot be opened by this user"
		if st, statErr := os.Stat(path); statErr == nil {
			f.Detail += fmt.Sprintf(" (mode %04o)", st.Mode().Perm())
		}
		f.Fix = "as root: chmod 0666 /dev/fuse; in a container the device must also be allowed: --device /dev/fuse"
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		f.Detail = "is there, but the kernel has no FUSE"
		f.Fix = "as root: modprobe fuse"
	default:
		f.Detail = err.Error()
		f.Fix = "see `man 4 fuse`"
	}
	return f
}

// fusermount looks for the setuid helper without which a plain user cannot mount.
func fusermount(root bool) Finding {
	f := Finding{Name: "fusermount3", Status: OK}
	missing := func(detail, fix string) Finding {
		f.Detail, f.Fix, f.Status = detail, fix, Fail
		if root {
			f.Status = Warn
			f.Detail += "; root mounts without it, plain users cannot mount"
		}
		return f
	}
	path, err := exec.LookPath("fusermount3")
	if err != nil {
		return missing("not found in PATH", "install the package fuse3: apt-get install fuse3, dnf install fuse3, apk add fuse3")
	}
	st, err := os.Stat(path)
	if err != nil {
		return missing(err.Error(), "reinstall the package fuse3")
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	setuidRoot := ok && sys.Uid == 0 && st.Mode()&os.ModeSetuid != 0
	if !setuidRoot && !hasFileCaps(path) {
		return missing(path+" is not setuid root", "as root: chown root "+path+" && chmod u+s "+path)
	}
	if noNewPrivs() {
		return missing(path+" cannot gain its rights: this process has no_new_privs", "run outside of the sandbox that sets no_new_privs, or inside a user namespace (unshare -rm)")
	}
	f.Detail = path
	if out, err := exec.Command(path, "--version").Output(); err == nil {
		f.Detail += ", " + strings.TrimSpace(string(out))
	}
	return f
}

func hasFileCaps(path string) bool {
	n, err := unix.Getxattr(path, "security.capability", nil)
	return err == nil && n > 0
}

func noNewPrivs() bool {
	v, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	return err == nil && v == 1
}

// allowOther reads fuse.conf as fusermount3 does: a line that is the bare word.
func allowOther(path string, root bool) Finding {
	f := Finding{Name: "user_allow_other", Status: OK}
	if root {
		f.Detail = "root may use -o allow_other"
		return f
	}
	file, err := os.Open(path)
	if err == nil {
		defer file.Close()
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			word, _, _ := strings.Cut(lines.Text(), "#")
			if strings.TrimSpace(word) == "user_allow_other" {
				f.Detail = "set in " + path
				return f
			}
		}
		err = lines.Err()
	}
	f.Status = Warn
	f.Detail = "not set in " + path + ": a mount is visible to its owner only"
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.Detail = fmt.Sprintf("cannot tell: %v", err)
	}
	f.Fix = "only if you want -o allow_other; as root: echo user_allow_other >> " + path
	return f
}

// userNamespaces makes one, for distributions forbid them in half a dozen ways.
func userNamespaces() Finding {
	f := Finding{Name: "user namespaces", Status: OK}
	path, err := exec.LookPath("true")
	if err != nil {
		return Finding{Name: f.Name, Status: Warn, Detail: "cannot tell: there is no program `true`", Fix: "put coreutils or busybox into PATH"}
	}
	cmd := exec.Command(path)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	if err := cmd.Run(); err != nil {
		f.Status = Warn
		f.Detail = fmt.Sprintf("cannot be made (%v): mounts go through fusermount3 only", err)
		f.Fix = "only if you want to mount inside one; as root: " + namespaceFix()
		return f
	}
	f.Detail = "can be made"
	return f
}

// namespaceFix names the knob that is closed on this machine.
func namespaceFix() string {
	for _, knob := range []struct{ path, closed, fix string }{
		{"/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
	} {
		if value, err := os.ReadFile(knob.path); err == nil && strings.TrimSpace(string(value)) == knob.closed {
			return knob.fix
		}
	}
	return "allow unshare(CLONE_NEWUSER) in the container's seccomp profile or the security module"
}

// fewFiles is where the bounded tables of open descriptors of a mount begin to hurt each other.
const fewFiles = 4096

// openFiles looks at the hard limit: the program raises its soft limit itself.
func openFiles() Finding {
	f := Finding{Name: "open files", Status: OK}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return Finding{Name: f.Name, Status: Warn, Detail: err.Error(), Fix: "check `ulimit -Hn`"}
	}
	f.Detail = fmt.Sprintf("up to %d", limit.Max)
	if limit.Max < fewFiles {
		f.Status = Warn
		f.Detail += fmt.Sprintf("; a busy mount wants %d", fewFiles)
		f.Fix = "raise the hard limit: ulimit -Hn, /etc/security/limits.conf, or LimitNOFILE= of the service"
	}
	return f
}
