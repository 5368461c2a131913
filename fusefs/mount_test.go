package fusefs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

func TestMountTable(t *testing.T) {
	u := mount(t, "fsname=my image,noatime,noexec", regular("f", "x"))
	infos, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(u.Target))
	check(t, err)
	if len(infos) != 1 {
		t.Fatalf("%d mounts on the target", len(infos))
	}
	in := infos[0]
	if in.FSType != "fuse.layerfs" || in.Source != "my image" {
		t.Errorf("type %q, source %q", in.FSType, in.Source)
	}
	for _, o := range []string{"nosuid", "nodev", "noexec", "noatime", "rw"} {
		if !slices.Contains(strings.Split(in.Options, ","), o) {
			t.Errorf("no %s in the options %q", o, in.Options)
		}
	}
	checked := thisWay() != asPlain
	for _, o := range []string{"default_permissions", "allow_other"} {
		if slices.Contains(strings.Split(in.VFSOptions, ","), o) != checked {
			t.Errorf("%s in %q: want %v", o, in.VFSOptions, checked)
		}
	}
	m, found, err := Find(u.Target)
	check(t, err)
	if !found || m.UID != uint32(os.Geteuid()) || !m.IsFUSE() || m.Target != u.Target || m.Source != "my image" {
		t.Errorf("Find: %v, %+v", found, m)
	}
	link := filepath.Join(t.TempDir(), "link")
	check(t, os.Symlink(u.Target, link))
	if m, found, err := Find(link); !found || err != nil || m.Target != u.Target {
		t.Errorf("Find through a symbolic link: %v, %+v, %v", found, m, err)
	}
	if _, found, err := Find(u.at("f")); found || err != nil {
		t.Errorf("Find of what is no mount point: %v, %v", found, err)
	}
}

func TestUnmount(t *testing.T) {
	u := mount(t, "", dir("d"))
	d := u.open("d", os.O_RDONLY)
	wantErr(t, "unmount while in use", Unmount(u.Target, false), ErrBusy)
	u.write("d/still", "works")
	u.want("d/still", "works")
	check(t, d.Close())
	u.stop()
	wantErr(t, "unmount again", Unmount(u.Target, false), ErrNotMounted)
	wantErr(t, "unmount of a plain directory", Unmount(u.Dir, false), ErrNotMounted)
	wantErr(t, "unmount of another file system", Unmount("/proc", false), ErrNotMounted)
	wantErr(t, "unmount of nothing", Unmount(filepath.Join(u.Dir, "none", "at", "all"), false), os.ErrNotExist)

	// A lazy unmount takes the mount out of sight; who is in there goes on.
	check(t, u.tryStart())
	f := u.open("d/still", os.O_RDWR)
	check(t, Unmount(u.Target, true))
	if exists(u.at("d")) {
		t.Error("the mount is still to be seen after a lazy unmount")
	}
	_, err := f.WriteString("is written")
	check(t, err)
	check(t, f.Close())
	u.wait()
	check(t, u.tryStart())
	u.want("d/still", "is written")
}

// TestUnmountFromOutside: umount(8) and fusermount3 end the server as well.
func TestUnmountFromOutside(t *testing.T) {
	u := mount(t, "", regular("f", "x"))
	for _, tool := range []string{"umount", "fusermount3 -u"} {
		u.write("f", tool)
		args := append(strings.Fields(tool), u.Target)
		if _, err := exec.LookPath(args[0]); err != nil {
			t.Skipf("needs %s: %v", args[0], err)
		}
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", tool, err, out)
		}
		u.wait()
		check(t, u.tryStart())
		u.want("f", tool)
	}
}

func TestMountAnswersAtOnce(t *testing.T) {
	u := newUnion(t, regular("f", "x"))
	t.Cleanup(u.cleanup)
	for range 10 {
		check(t, u.tryStart())
		u.want("f", "x")
		u.stop()
	}
}

func TestPanicIsAnError(t *testing.T) {
	u := mount(t, "", regular("f", "x"))
	for range 3 {
		_, err := os.Lstat(u.at(panicName))
		wantErr(t, "a lookup that panics", err, unix.EIO)
		u.want("f", "x")
	}
	log, err := os.ReadFile(u.path("log"))
	check(t, err)
	if !strings.Contains(string(log), "a programming error") || !strings.Contains(string(log), "probe_test.go") {
		t.Errorf("the log does not tell what happened and where: %s", log)
	}
}

// TestDeadServer kills the server: its mount is recognised and cleared, and
// what was written is there.
func TestDeadServer(t *testing.T) {
	u := mount(t, "", regular("f", "x"))
	for i := range 3 { // three dead mounts on top of each other would do, too
		u.write("f", fmt.Sprint("round ", i))
		u.stat("f")
		if Stale(u.Target) {
			t.Fatal("a living mount is taken for dead")
		}
		check(t, u.server.Process.Kill())
		<-u.ended
		u.server = nil
		if !Stale(u.Target) {
			t.Fatal("the dead mount is not recognised")
		}
		_, err := os.ReadDir(u.Target)
		wantErr(t, "a dead mount", err, unix.ENOTCONN)
		target, err := CheckTarget(u.Target, u.Dir)
		check(t, err)
		if target != u.Target {
			t.Errorf("target %q, want %q", target, u.Target)
		}
		if _, found, err := Find(u.Target); found || err != nil {
			t.Errorf("the dead mount is still there: %v", err)
		}
		check(t, u.tryStart())
		u.want("f", fmt.Sprint("round ", i))
	}
}

func TestNotStale(t *testing.T) {
	u := mount(t, "", regular("f", "x"))
	file := filepath.Join(u.Dir, "file")
	check(t, os.WriteFile(file, nil, 0o600))
	for _, path := range []string{u.Target, u.Dir, file, filepath.Join(u.Dir, "none"), filepath.Join(file, "below"), "/"} {
		if Stale(path) {
			t.Errorf("%s is taken for a dead mount", path)
		}
	}
}

// TestAbortedConnection: the server detaches a mount that the kernel cut off.
func TestAbortedConnection(t *testing.T) {
	if thisWay() != asRoot {
		t.Skip("needs root, to abort a connection")
	}
	u := mount(t, "", regular("f", "x"))
	control := fmt.Sprintf("/sys/fs/fuse/connections/%d/abort", unix.Minor(u.stat(".").Dev))
	if !exists(control) {
		t.Skipf("needs fusectl mounted on /sys/fs/fuse/connections")
	}
	check(t, os.WriteFile(control, []byte("1"), 0))
	u.wait()
	if _, found, err := Find(u.Target); found || err != nil {
		t.Errorf("the aborted mount is still there: %v", err)
	}
}

func TestCheckTarget(t *testing.T) {
	u := mount(t, "", regular("f", "x"))
	base := t.TempDir()
	store := filepath.Join(base, "store")
	for _, d := range []string{"empty", "full/x", "store/rw"} {
		check(t, os.MkdirAll(filepath.Join(base, d), 0o755))
	}
	check(t, os.WriteFile(filepath.Join(base, "file"), nil, 0o600))
	check(t, os.Symlink("empty", filepath.Join(base, "link")))
	check(t, os.Symlink(store, filepath.Join(base, "door")))
	for _, c := range []struct {
		target string
		want   error
		says   string
	}{
		{"none", ErrTarget, "mkdir -p"},
		{"none/at/all", ErrTarget, "no such file"},
		{"file", ErrTarget, "not a directory"},
		{"file/below", ErrTarget, "not a directory"},
		{"full", ErrTarget, `not empty (it holds "x")`},
		{"store", ErrTarget, "inside the store"},
		{"store/rw", ErrTarget, "inside the store"},
		{"door/rw", ErrTarget, "inside the store"},
	} {
		_, err := CheckTarget(filepath.Join(base, c.target), store)
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: %v, want %v that says %q", c.target, err, c.want, c.says)
		}
	}
	_, err := CheckTarget(u.Target, store)
	wantErr(t, "a mount as target", err, ErrMounted)
	for _, name := range []string{"empty", "link", "./empty/", "store/../empty"} {
		got, err := CheckTarget(base+"/"+name, store)
		if err != nil || got != filepath.Join(base, "empty") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestMountFails: what the kernel or the helper refuses is told in their words,
// and leaves nothing behind.
func TestMountFails(t *testing.T) {
	u := newUnion(t, regular("f", "x"))
	u.Target = filepath.Join(u.Dir, "none")
	if err := u.tryStart(); err == nil || !strings.Contains(err.Error(), "o such file or directory") || !strings.Contains(err.Error(), u.Target) {
		t.Errorf("missing target: %v", err)
	}
	if thisWay() != asPlain {
		return
	}
	u.Target = "/proc"
	if err := u.tryStart(); err == nil || !strings.Contains(err.Error(), "/proc") {
		t.Errorf("a target of somebody else: %v", err)
	}
	conf, err := os.ReadFile("/etc/fuse.conf")
	if err == nil && slices.Contains(strings.Split(string(conf), "\n"), "user_allow_other") {
		return
	}
	u.Target, u.Options = filepath.Join(filepath.Dir(u.Dir), "mnt"), "allow_other"
	if err := u.tryStart(); err == nil || !strings.Contains(err.Error(), "user_allow_other") {
		t.Errorf("allow_other: %v", err)
	}
	if _, found, err := Find(u.Target); found || err != nil {
		t.Errorf("a mount was left behind: %v", err)
	}
}

// TestSignalsDoNotBreakWrites interrupts a process again and again while it
// copies up.
func TestSignalsDoNotBreakWrites(t *testing.T) {
	data := random(4 << 20)
	u := mount(t, "", regular("f", data))
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = syscall.Kill(os.Getpid(), syscall.SIGURG) // harmless in a Go program
			}
		}
	}()
	fd, err := unix.Open(u.at("f"), unix.O_WRONLY, 0)
	for err == unix.EINTR {
		fd, err = unix.Open(u.at("f"), unix.O_WRONLY, 0)
	}
	check(t, err)
	_, err = unix.Pwrite(fd, []byte("X"), 1000)
	close(stop)
	<-done
	check(t, err)
	check(t, unix.Close(fd))
	u.want("f", data[:1000]+"X"+data[1001:])
}

// TestKilledWhileCopyingUp kills a writer in the middle of a copy-up, or about:
// the file is as it was or as he wanted it, and works.
func TestKilledWhileCopyingUp(t *testing.T) {
	data := random(32 << 20)
	u := mount(t, "", regular("f", data))
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT} {
		cmd := exec.Command("/proc/self/exe", "client", "write", u.at("f"), "KILLED")
		out, err := cmd.StdoutPipe()
		check(t, err)
		check(t, cmd.Start())
		_, _ = out.Read(make([]byte, 1)) // it is about to write
		check(t, cmd.Process.Signal(sig))
		_ = cmd.Wait()
		if got := u.read("f"); got != data && got != "KILLED"+data[6:] {
			t.Fatalf("after %v the file holds %s", sig, short(got))
		}
	}
	f := u.open("f", os.O_WRONLY)
	_, err := f.WriteString("ALIVE!")
	check(t, err)
	u.remount(f)
	u.want("f", "ALIVE!"+data[6:])
}
