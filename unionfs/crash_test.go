package unionfs

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// What a kill leaves behind is seen by stopping a process before each system
// call that changes the disk, and opening a copy of its upper and work
// directories: it has to show the tree as it was before the operation or as it
// is after.

type crashOperation struct {
	name  string
	setup func(u *union)
	run   func(u *union) error
}

var crashOperations = []crashOperation{
	{"unlink lower", nil, func(u *union) error { return u.unlink("/tree/a/b/deep") }},
	{"unlink copied-up", func(u *union) { u.put("/etc/hosts", "x") }, func(u *union) error { return u.unlink("/etc/hosts") }},
	{"rmdir merged", func(u *union) { u.ok(u.unlink("/tree/a/b/deep")) }, func(u *union) error { return u.rmdir("/tree/a/b") }},
	{"rmdir new with whiteouts", func(u *union) {
		u.ok(u.rename("/tree/a", "/z", 0))
		u.ok(u.unlink("/z/file"))
		u.ok(u.unlink("/z/b/deep"))
		u.ok(u.rmdir("/z/b"))
	}, func(u *union) error { return u.rmdir("/z") }},
	{"create", nil, func(u *union) error { return u.put2("/tree/a/new") }},
	{"create over whiteout", func(u *union) { u.ok(u.unlink("/etc/hosts")) }, func(u *union) error { return u.put2("/etc/hosts") }},
	{"create with special mode", nil, func(u *union) error { return u.mknod("/etc/new", unix.S_IFREG|0o4750, 0, 0) }},
	{"mkdir", nil, func(u *union) error { return u.mkdir("/tree/a/new") }},
	{"mkdir over whiteout", func(u *union) { u.ok(u.rmdir("/empty")) }, func(u *union) error { return u.mkdir("/empty") }},
	{"symlink", nil, func(u *union) error { return u.symlink("target", "/tree/a/new") }},
	{"mknod over whiteout", func(u *union) { u.ok(u.unlink("/dev/null")) }, func(u *union) error {
		return u.mknod("/dev/null", unix.S_IFCHR|0o666, 1, 3)
	}},
	{"link", nil, func(u *union) error { return u.link("/etc/hosts", "/tree/a/hosts") }},
	{"link of group", nil, func(u *union) error { return u.link("/usr/bin/perl", "/tree/a/perl") }},
	{"chmod of group", nil, func(u *union) error { return u.chmod("/usr/lib/perl", 0o600) }},
	{"write", nil, func(u *union) error { return u.pwrite("/etc/hosts", "X", 0) }},
	{"truncate", nil, func(u *union) error { return u.truncate("/etc/hosts", 0) }},
	{"grow", nil, func(u *union) error { return u.truncate("/etc/hosts", 100) }},
	{"shrink", nil, func(u *union) error { return u.truncate("/etc/hosts", 3) }},
	{"chown", func(u *union) { u.put("/new", "x") }, func(u *union) error { return u.chown("/new", 77, 78) }},
	{"chown back", func(u *union) { u.put("/new", "x"); u.ok(u.chown("/new", 77, 78)); u.ok(u.chmod("/new", 0o4711)) }, func(u *union) error {
		_, err := u.Setattr(nil, u.id("/new"), SetAttr{
			Valid: SetUID | SetGID | SetMode, Mode: 0o644, UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())})
		return err
	}},
	{"setxattr", nil, func(u *union) error { return u.Setxattr(u.id("/tree/a/file"), "user.x", []byte("y"), 0, false) }},
	{"rename lower file", nil, func(u *union) error { return u.rename("/etc/hosts", "/usr/hosts", 0) }},
	{"rename lower file over lower file", nil, func(u *union) error { return u.rename("/etc/hosts", "/usr/bin/su", 0) }},
	{"rename group over file", nil, func(u *union) error { return u.rename("/usr/bin/perl", "/etc/hosts", 0) }},
	{"rename new file over lower", func(u *union) { u.put("/new", "x") }, func(u *union) error { return u.rename("/new", "/etc/hosts", 0) }},
	{"rename lower directory", nil, func(u *union) error { return u.rename("/tree/a", "/usr/lib/a", 0) }},
	{"rename directory over empty lower", nil, func(u *union) error { return u.rename("/tree", "/empty", 0) }},
	{"rename directory over whiteout", func(u *union) { u.ok(u.rmdir("/empty")) }, func(u *union) error { return u.rename("/tree", "/empty", 0) }},
	{"rename new directory over whiteout", func(u *union) { u.ok(u.rmdir("/empty")); u.ok(u.mkdir("/new")); u.put("/new/x", "y") },
		func(u *union) error { return u.rename("/new", "/empty", 0) }},
	{"rename directory over emptied", func(u *union) { u.ok(u.unlink("/usr/lib/perl")) }, func(u *union) error { return u.rename("/tree", "/usr/lib", 0) }},
	{"rename new directory over emptied", func(u *union) { u.ok(u.unlink("/usr/lib/perl")); u.ok(u.mkdir("/new")) },
		func(u *union) error { return u.rename("/new", "/usr/lib", 0) }},
	{"exchange files", nil, func(u *union) error { return u.rename("/etc/hosts", "/usr/bin/su", unix.RENAME_EXCHANGE) }},
	{"exchange directory and file", nil, func(u *union) error { return u.rename("/tree/a", "/etc/hosts", unix.RENAME_EXCHANGE) }},
	{"exchange new and lower directory", func(u *union) { u.ok(u.mkdir("/new")); u.put("/new/x", "y") },
		func(u *union) error { return u.rename("/new", "/tree", unix.RENAME_EXCHANGE) }},
}

const crashEnv = "UNIONFS_TEST_CRASH" // in a child: name of the operation, directory of the union, without RENAME_WHITEOUT

func TestMain(m *testing.M) {
	if v := strings.Split(os.Getenv(crashEnv), "="); len(v) == 3 {
		crashChild(v[0], v[1], v[2] == "true")
	}
	os.Exit(m.Run())
}

// The parent traces the first thread. Only a lock in init keeps the main
// goroutine on it; later it may have moved on.
func init() {
	if os.Getenv(crashEnv) != "" {
		runtime.LockOSThread()
	}
}

// crashChild runs one operation, on the thread that its parent traces.
func crashChild(name, top string, steps bool) {
	x, err := tarindex.Open(filepath.Join(top, "index"))
	if err != nil {
		panic(err)
	}
	u := &union{t: panicTB{}, pool: pool{filepath.Join(top, "content")}}
	u.cred = Cred{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	u.o = Options{Lower: x, Upper: filepath.Join(top, "upper"), Work: filepath.Join(top, "work"), Open: u.pool.open}
	u.mount()
	u.noRenameWhiteout = u.noRenameWhiteout || steps
	for _, op := range crashOperations {
		if op.name == name {
			if err := op.run(u); err != nil {
				panic(err)
			}
			os.Exit(0)
		}
	}
	panic("no operation " + name)
}

// panicTB is what a test needs of testing.TB in a process that is no test.
type panicTB struct{ testing.TB }

func (panicTB) Helper()                        {}
func (panicTB) Fatal(a ...any)                 { panic(fmt.Sprint(a...)) }
func (panicTB) Fatalf(s string, a ...any)      { panic(fmt.Sprintf(s, a...)) }
func (panicTB) Errorf(format string, _ ...any) { panic(format) }

func TestKilledAnywhere(t *testing.T) {
	for _, op := range crashOperations {
		t.Run(op.name, func(t *testing.T) { killAnywhere(t, op, false) })
		if strings.HasPrefix(op.name, "rename") {
			t.Run(op.name+" in steps", func(t *testing.T) { killAnywhere(t, op, true) })
		}
	}
}

func killAnywhere(t *testing.T, op crashOperation, steps bool) {
	u := newUnion(t, sample()...)
	top := filepath.Dir(u.o.Upper)
	u.ok(os.WriteFile(filepath.Join(top, "index"), u.index, 0o600))
	if op.setup != nil {
		op.setup(u)
	}
	before := crashTree(u)
	u.unmount()
	var states []string
	stopBefore(t, fmt.Sprintf("%s=%s=%t", op.name, top, steps), func() {
		states = append(states, copyState(t, top))
	})
	u.mount()
	after := crashTree(u)
	if len(states) < 2 {
		t.Fatalf("only %d states seen", len(states))
	}
	for i, dir := range states {
		v := *u
		v.o.Upper, v.o.Work = filepath.Join(dir, "upper"), filepath.Join(dir, "work")
		v.mount()
		got := crashTree(&v)
		if !equalTrees(got, before) && !equalTrees(got, after) {
			t.Errorf("stopped before change %d of %d, the tree is neither as before nor as after:", i+1, len(states))
			diffTrees(t, "before", before, "killed", got)
			diffTrees(t, "after", after, "killed", got)
		}
		v.settle()
		v.unmount()
	}
}

var (
	// A copy has other inode numbers in its upper; and times are set back a
	// moment after something else was done to a file.
	upperInos  = regexp.MustCompile(`ino \d{10,}`)
	mtimeField = regexp.MustCompile(`mtime [-.0-9]+`)
)

func crashTree(u *union) map[string]string {
	tree := u.tree()
	for p, line := range tree {
		tree[p] = mtimeField.ReplaceAllString(upperInos.ReplaceAllString(line, "ino new"), "")
	}
	return tree
}

func equalTrees(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for p := range a {
		if a[p] != b[p] {
			return false
		}
	}
	return true
}

// copyState copies the upper and work directories below top.
func copyState(t *testing.T, top string) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("cp", "-a", filepath.Join(top, "upper"), filepath.Join(top, "work"), dir).CombinedOutput()
	if err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	return dir
}

// stopBefore runs the operation in a child and calls look before each system
// call by which it changes the disk.
func stopBefore(t *testing.T, what string, look func()) {
	t.Helper()
	runtime.LockOSThread() // ptrace belongs to a thread
	defer runtime.UnlockOSThread()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), crashEnv+"="+what)
	var output strings.Builder
	stderr, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	cmd.Stderr = w
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	pid := cmd.Process.Pid
	var status unix.WaitStatus
	wait := func() {
		if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != nil {
			t.Fatalf("wait for the child: %v", err)
		}
	}
	wait()
	if err := unix.PtraceSetOptions(pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_EXITKILL); err != nil {
		t.Fatal(err)
	}
	signal := 0
	for {
		if err := unix.PtraceSyscall(pid, signal); err != nil {
			t.Fatalf("ptrace: %v", err)
		}
		wait()
		signal = 0
		switch {
		case status.Exited():
			if status.ExitStatus() != 0 {
				b := make([]byte, 4096)
				n, _ := stderr.Read(b)
				t.Fatalf("the child failed with %d: %s%s", status.ExitStatus(), output.String(), b[:n])
			}
			return
		case status.Signaled():
			t.Fatalf("the child died of %v", status.Signal())
		case status.StopSignal() == syscall.SIGTRAP|0x80:
			if changesDisk(t, pid) {
				look()
			}
		case status.StopSignal() != syscall.SIGTRAP:
			signal = int(status.StopSignal())
		}
	}
}

// changing are the system calls that change the disk.
var changing = map[uint64]bool{
	unix.SYS_RENAMEAT2: true, unix.SYS_LINKAT: true, unix.SYS_MKNODAT: true, unix.SYS_UNLINKAT: true, unix.SYS_MKDIRAT: true,
	unix.SYS_SETXATTR: true, unix.SYS_LSETXATTR: true, unix.SYS_FSETXATTR: true,
	unix.SYS_REMOVEXATTR: true, unix.SYS_LREMOVEXATTR: true, unix.SYS_FREMOVEXATTR: true,
	unix.SYS_FCHMODAT: true, unix.SYS_FCHMOD: true, unix.SYS_UTIMENSAT: true, unix.SYS_FTRUNCATE: true,
	unix.SYS_PWRITE64: true, unix.SYS_COPY_FILE_RANGE: true, unix.SYS_FALLOCATE: true, unix.SYS_EXIT_GROUP: true,
}

// changesDisk reports whether the traced process stands before such a call.
func changesDisk(t *testing.T, pid int) bool {
	t.Helper()
	const getSyscallInfo, atEntry = 0x420e, 1 // PTRACE_GET_SYSCALL_INFO, PTRACE_SYSCALL_INFO_ENTRY
	var info [88]byte                         // struct ptrace_syscall_info
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, getSyscallInfo, uintptr(pid), uintptr(len(info)), uintptr(unsafe.Pointer(&info[0])), 0, 0)
	if errno != 0 {
		t.Fatalf("PTRACE_GET_SYSCALL_INFO: %v", errno)
	}
	number, args := binary.NativeEndian.Uint64(info[24:]), info[32:]
	if info[0] != atEntry {
		return false
	}
	if number == unix.SYS_OPENAT {
		return binary.NativeEndian.Uint64(args[16:])&unix.O_CREAT != 0
	}
	return changing[number]
}
