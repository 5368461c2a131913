package fusefs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// client is a process of its own that uses the mount. "lock FILE" tries to take a
// POSIX lock and exits with 0 or 11 (EAGAIN); "write FILE TEXT" says so and writes.
func client(what string, args []string) int {
	switch what {
	case "write":
		f, err := os.OpenFile(args[0], os.O_WRONLY, 0)
		if err != nil {
			return complain(err)
		}
		fmt.Println("writing")
		if _, err := f.WriteString(args[1]); err != nil {
			return complain(err)
		}
		return 0
	case "lock":
		f, err := os.OpenFile(args[0], os.O_RDWR, 0)
		if err != nil {
			return complain(err)
		}
		err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Len: 10})
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return int(unix.EAGAIN)
		}
		if err != nil {
			return complain(err)
		}
		return 0
	}
	return complain(errors.New("unknown client " + what))
}

func run(t *testing.T, args ...string) int {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if code := cmd.ProcessState.ExitCode(); code == 0 || code == int(unix.EAGAIN) {
		return code
	}
	t.Fatalf("%v: %v: %s", args, err, out)
	return -1
}

func TestPOSIXLocks(t *testing.T) {
	u := mount(t, "", regular("f", "0123456789"))
	f := u.open("f", os.O_RDWR)
	check(t, unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Len: 5}))
	if code := run(t, "client", "lock", u.at("f")); code != int(unix.EAGAIN) {
		t.Error("another process got a lock that is held")
	}
	_, err := f.WriteString("copied up under the lock")
	check(t, err)
	if code := run(t, "client", "lock", u.at("f")); code != int(unix.EAGAIN) {
		t.Error("the copy-up lost the lock")
	}
	check(t, unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_UNLCK}))
	if code := run(t, "client", "lock", u.at("f")); code != 0 {
		t.Error("the lock is still held after its release")
	}
}

func TestOpenFileLocks(t *testing.T) {
	u := mount(t, "", regular("f", "x"))
	a, b := u.open("f", os.O_RDWR), u.open("f", os.O_RDWR)

	check(t, unix.Flock(int(a.Fd()), unix.LOCK_EX|unix.LOCK_NB))
	wantErr(t, "flock through another descriptor", unix.Flock(int(b.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
	check(t, unix.Flock(int(a.Fd()), unix.LOCK_SH))
	check(t, unix.Flock(int(b.Fd()), unix.LOCK_SH|unix.LOCK_NB))

	lock := func(f *os.File, typ int16, start int64) error {
		return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: typ, Start: start, Len: 1})
	}
	check(t, lock(a, unix.F_WRLCK, 0))
	wantErr(t, "the same range", lock(b, unix.F_WRLCK, 0), unix.EAGAIN)
	check(t, lock(b, unix.F_WRLCK, 1))
	check(t, a.Close())
	check(t, lock(b, unix.F_WRLCK, 0))
}
