package fusefs

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// way is how this process mounts.
type way string

const (
	asRoot      way = "root"
	asPlain     way = "plain user"
	asNamespace way = "root of a user namespace"
)

func thisWay() way {
	switch {
	case os.Geteuid() != 0:
		return asPlain
	case inInitialUserNamespace():
		return asRoot
	default:
		return asNamespace
	}
}

// rerun runs all tests again in a child, but for those that start such children.
func rerun(t *testing.T, attr *syscall.SysProcAttr, owner int) {
	t.Helper()
	if testing.Short() {
		t.Skip("repeats every test; not with -short")
	}
	tmp := t.TempDir()
	openPath(t, tmp)
	check(t, os.Chown(tmp, owner, owner))
	cmd := exec.Command("/proc/self/exe", "-test.skip=^(TestAsPlainUser|TestInUserNamespace)$", "-test.timeout=120s")
	cmd.Dir = "/"
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "TMPDIR=") || strings.HasPrefix(v, "HOME=")
	}), "TMPDIR="+tmp, "HOME="+tmp)
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// nobody is the plain user of TestAsPlainUser.
const nobody = 65534

func TestAsPlainUser(t *testing.T) {
	needFUSE(t)
	if thisWay() != asRoot {
		t.Skip("needs root, to become a plain user")
	}
	rerun(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}, nobody)
}

func TestInUserNamespace(t *testing.T) {
	needFUSE(t)
	if thisWay() == asNamespace {
		t.Skip("is in a user namespace already")
	}
	uid := os.Geteuid()
	if uid == 0 {
		uid = nobody
	}
	gid := uid
	if os.Geteuid() != 0 {
		gid = os.Getegid()
	}
	attr := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}},
		Credential:  &syscall.Credential{Uid: 0, Gid: 0, NoSetGroups: true},
	}
	if err := probeNamespace(attr); err != nil {
		t.Skipf("needs user namespaces: %v", err)
	}
	rerun(t, attr, uid)
}

func probeNamespace(attr *syscall.SysProcAttr) error {
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = attr
	return cmd.Run()
}
