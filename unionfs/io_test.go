package unionfs

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFallocate(t *testing.T) {
	body := strings.Repeat("x", 64<<10)
	for mode, want := range map[uint32]string{
		0:                        body + strings.Repeat("\x00", 16<<10),
		unix.FALLOC_FL_KEEP_SIZE: body,
		unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE: body[:48<<10] + strings.Repeat("\x00", 16<<10),
		unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE: body[:48<<10] + strings.Repeat("\x00", 16<<10),
	} {
		u := newUnion(t, file("f", body))
		u.ok(u.chmod("/f", 0o6755))
		err := u.Fallocate(nil, u.id("/f"), 48<<10, 32<<10, mode, true)
		if errors.Is(err, syscall.EOPNOTSUPP) && mode&unix.FALLOC_FL_ZERO_RANGE != 0 {
			continue // tmpfs has no such mode, and the answer is its own
		}
		u.ok(err)
		if got := u.read("/f"); got != want {
			t.Errorf("mode %d: wrong content", mode)
		}
		if a := u.attr("/f"); a.Mode != unix.S_IFREG|0o755 {
			t.Errorf("mode %d: permissions %o", mode, a.Mode)
		}
		u.settle()
	}
}

func TestCopyFileRange(t *testing.T) {
	u := newUnion(t, file("a", bigBody()), file("b", "0123456789"), file("empty", ""))
	u.put("/up", "")
	copyAll := func(from string, offFrom int64, to string, offTo, size int64) int64 {
		t.Helper()
		n, err := u.CopyFileRange(nil, u.id(from), offFrom, u.id(to), offTo, size, false)
		u.ok(err)
		return n
	}
	if n := copyAll("/a", 16, "/up", 0, 100); n != 100 || u.read("/up") != bigBody()[16:116] {
		t.Errorf("copied %d", n)
	}
	if n := copyAll("/a", 0, "/b", 5, 3); n != 3 || u.read("/b") != "0123401289" {
		t.Errorf("copied %d: %q", n, u.read("/b"))
	}
	u.ok(u.truncate("/a", 10)) // still metacopy
	if n := copyAll("/a", 4, "/up", 0, 100); n != 6 || u.read("/up")[:6] != "456789" {
		t.Errorf("copied %d", n)
	}
	if n := copyAll("/empty", 0, "/up", 0, 100); n != 0 {
		t.Errorf("copied %d", n)
	}
	if n := copyAll("/up", 0, "/up", 200, 10); n != 10 {
		t.Errorf("copied %d", n)
	}
	u.settle()
}

func TestFsyncAndStatfs(t *testing.T) {
	u := newUnion(t, sample()...)
	u.FS.volatile = false
	u.put("/f", "x")
	u.ok(u.pwrite("/etc/hosts", "x", 0))
	for _, p := range []string{"/", "/f", "/etc", "/etc/hosts", "/etc/shadow", "/usr", "/etc/link"} {
		u.ok(u.Fsync(u.id(p), false))
		u.ok(u.Fsync(u.id(p), true))
	}
	var want unix.Statfs_t
	u.ok(unix.Statfs(u.o.Upper, &want))
	if st, err := u.Statfs(); err != nil || st.Blocks != want.Blocks || st.Namelen != 255 {
		t.Errorf("%+v, %v", st, err)
	}
	u.settle()
}

func TestReadAndLseek(t *testing.T) {
	u := newUnion(t, sample()...)
	id := u.id("/etc/hosts")
	b := make([]byte, 100)
	for off, want := range map[int64]string{0: "127.0.0.1 localhost\n", 10: "localhost\n", 20: "", 1000: ""} {
		if n, err := u.Read(id, b, off); err != nil || string(b[:n]) != want {
			t.Errorf("at %d: %q, %v", off, b[:n], err)
		}
	}
	if n, err := u.Read(u.id("/etc/empty"), b, 0); n != 0 || err != nil {
		t.Errorf("empty file: %d, %v", n, err)
	}
	_, err := u.Read(u.id("/etc"), b, 0)
	u.fails(syscall.EISDIR, err)
	for _, prepare := range []func() error{
		func() error { return nil },
		func() error { return u.truncate("/etc/hosts", 8) },
		func() error { return u.pwrite("/etc/hosts", "x", 0) },
	} {
		u.ok(prepare())
		size := u.attr("/etc/hosts").Size
		if off, err := u.Lseek(id, 3, unix.SEEK_DATA); off != 3 || err != nil {
			t.Errorf("SEEK_DATA: %d, %v", off, err)
		}
		if off, err := u.Lseek(id, 3, unix.SEEK_HOLE); off != size || err != nil {
			t.Errorf("SEEK_HOLE: %d, %v", off, err)
		}
		_, err = u.Lseek(id, size, unix.SEEK_HOLE)
		u.fails(syscall.ENXIO, err)
	}
	_, err = u.Lseek(u.id("/etc/empty"), 0, unix.SEEK_DATA)
	u.fails(syscall.ENXIO, err)
}

// Many at once, over few names, so that every pair of operations meets. The
// race detector, and the state after a remount, tell.
func TestConcurrentUse(t *testing.T) {
	var entries []lowerEntry
	for d := range 4 {
		entries = append(entries, dir(fmt.Sprint("d", d)))
		for i := range 4 {
			entries = append(entries, file(fmt.Sprint("d", d, "/f", i), strings.Repeat("lower", 1000)))
		}
	}
	entries = append(entries, link("d1/f9", "d0/f0"), link("d2/f9", "d0/f0"))
	u := newUnion(t, entries...)
	var wg sync.WaitGroup
	for seed := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(seed), 1))
			name := func() (uint64, string, bool) {
				e, err := u.Lookup(RootID, fmt.Sprint("d", r.IntN(5)))
				return e.ID, fmt.Sprint("f", r.IntN(10)), err == nil
			}
			for range 400 {
				d, n, ok := name()
				d2, n2, ok2 := name()
				if !ok || !ok2 {
					continue
				}
				e, err := u.Lookup(d, n)
				switch r.IntN(12) {
				case 0:
					_ = u.Unlink(d, n)
				case 1:
					_ = u.Rename(d, n, d2, n2, uint32(r.IntN(3)))
				case 2:
					_, _ = u.Mknod(u.cred, d, n, unix.S_IFREG|0o644, 0, 0)
				case 3:
					_, _ = u.Link(e.ID, d2, n2)
				case 4:
					_, _ = u.Setattr(nil, e.ID, SetAttr{Valid: SetMode, Mode: uint32(r.IntN(0o7777))})
				case 5:
					_, _ = u.Setattr(nil, e.ID, SetAttr{Valid: SetSize, Size: int64(r.IntN(8000))})
				case 6:
					_ = u.Readdir(d, 0, true, func(_ DirEntry, e *Entry) bool { return true })
				case 7:
					_ = u.Rename(RootID, fmt.Sprint("d", r.IntN(5)), RootID, fmt.Sprint("d", r.IntN(5)), uint32(r.IntN(2)*2))
				case 8:
					_ = u.Setxattr(e.ID, "user.x", []byte("y"), 0, false)
				case 9:
					_, _ = u.Write(nil, e.ID, []byte("written"), int64(r.IntN(6000)), true)
				default:
					_, _ = u.Read(e.ID, make([]byte, 5000), 0)
				}
				if err == nil {
					u.Forget(e.ID, 1)
				}
			}
		})
	}
	wg.Wait()
	u.settle()
}

// Two who write to different parts of a lower file at once copy it up once.
func TestConcurrentFirstWrites(t *testing.T) {
	u := newUnion(t, file("big", bigBody()))
	id := u.id("/big")
	var wg sync.WaitGroup
	want := []byte(bigBody())
	for i := range 16 {
		data := bytes.Repeat([]byte{byte('A' + i)}, 100)
		copy(want[i*5000:], data)
		wg.Go(func() {
			if _, err := u.Write(nil, id, data, int64(i*5000), false); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if u.content(id) != string(want) {
		t.Error("wrong content")
	}
	u.settle()
}
