package unionfs

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

const big = 1 << 20

func bigBody() string { return strings.Repeat("0123456789abcdef", big/16) }

// What changes attributes only copies no data, keeps the inode number and the
// content, also after a remount.
func TestMetadataCopiesNoData(t *testing.T) {
	for name, change := range map[string]func(u *union) error{
		"chmod":    func(u *union) error { return u.chmod("/d/big", 0o600) },
		"chown":    func(u *union) error { return u.chown("/d/big", 7, 8) },
		"setxattr": func(u *union) error { return u.Setxattr(u.id("/d/big"), "user.a", []byte("b"), 0, false) },
		"utimens": func(u *union) error {
			_, err := u.Setattr(nil, u.id("/d/big"), SetAttr{Valid: SetMtime, Mtime: Time{Sec: -5, Nsec: 7}})
			return err
		},
		"link":   func(u *union) error { return u.link("/d/big", "/d/second") },
		"rename": func(u *union) error { return errors.Join(u.rename("/d/big", "/x", 0), u.rename("/x", "/d/big", 0)) },
		"shrink": func(u *union) error { return u.truncate("/d/big", 100) },
	} {
		t.Run(name, func(t *testing.T) {
			u := newUnion(t, dir("d"), file("d/big", bigBody()))
			before := u.attr("/d/big")
			u.ok(change(u))
			a := u.attr("/d/big")
			want := bigBody()
			if name == "shrink" {
				want = want[:100]
			} else if a.Blocks != before.Blocks {
				t.Errorf("%d blocks, had %d", a.Blocks, before.Blocks)
			}
			if a.Ino != before.Ino || u.read("/d/big") != want {
				t.Errorf("became %+v", a)
			}
			if n := u.dataBytes("/d/big"); n != 0 {
				t.Errorf("%d bytes copied", n)
			}
			u.settle()
			if u.read("/d/big") != want {
				t.Error("other content after remount")
			}
			if name == "shrink" { // and then grown: what was cut off stays so
				u.ok(u.truncate("/d/big", 200))
				u.settle()
				if got := u.read("/d/big"); got != want+strings.Repeat("\x00", 100) {
					t.Errorf("content %q", got)
				}
			}
		})
	}
}

func TestWriteCopiesUp(t *testing.T) {
	u := newUnion(t, dir("d"), file("d/big", bigBody()))
	id, ino := u.id("/d/big"), u.attr("/d/big").Ino
	b := []byte(bigBody())
	u.ok(u.pwrite("/d/big", "HELLO", 12345))
	copy(b[12345:], "HELLO")
	if got := u.content(id); got != string(b) {
		t.Error("wrong content")
	}
	a := u.attr("/d/big")
	if a.Ino != ino || time.Since(time.Unix(a.Mtime.Sec, 0)) > time.Minute {
		t.Errorf("%+v", a)
	}
	u.settle()
	if u.read("/d/big") != string(b) || u.attr("/d/big").Ino != ino {
		t.Error("wrong after remount")
	}
	if got := xattrOf(t, u.upperPath("/d/big"), xattrOrigin); got == "" {
		t.Error("no origin")
	}
	onDisk, err := os.ReadFile(u.upperPath("/d/big"))
	u.ok(err)
	if !bytes.Equal(onDisk, b) {
		t.Error("the upper file has other content")
	}
}

func TestTruncate(t *testing.T) {
	for _, size := range []int64{0, 1, big, big + 5} {
		u := newUnion(t, file("big", bigBody()))
		u.ok(u.truncate("/big", size))
		want := bigBody()[:min(size, big)] + strings.Repeat("\x00", int(max(0, size-big)))
		if u.read("/big") != want {
			t.Errorf("size %d: wrong content", size)
		}
		u.settle()
		u.ok(u.pwrite("/big", "x", 0))
		if size > 0 {
			want = "x" + want[1:]
		} else {
			want = "x"
		}
		if u.read("/big") != want {
			t.Errorf("size %d: wrong content after write", size)
		}
		u.settle()
	}
	u := newUnion(t, sample()...)
	u.fails(syscall.EISDIR, u.truncate("/etc", 0))
	u.fails(syscall.EINVAL, u.truncate("/dev/fifo", 0))
	u.fails(syscall.EINVAL, u.truncate("/etc/hosts", -1))
}

func TestCopyUpKeepsHoles(t *testing.T) {
	const size = 64 << 20
	body := make([]byte, size)
	copy(body[32<<20:], "data in the middle")
	u := newUnion(t, file("sparse", string(body)))
	// The pool keeps holes where the store does: make one by hand.
	h, _ := u.lower.Content(1)
	p := u.pool.path(h)
	u.ok(os.Chmod(p, 0o644))
	u.ok(os.Truncate(p, 0))
	u.ok(os.Truncate(p, size))
	f, err := os.OpenFile(p, os.O_WRONLY, 0)
	u.ok(err)
	_, err = f.WriteAt([]byte("data in the middle"), 32<<20)
	u.ok(err)
	u.ok(f.Close())
	u.ok(u.pwrite("/sparse", "!", 32<<20))
	if n := u.dataBytes("/sparse"); n > 1<<20 {
		t.Errorf("%d bytes of data", n)
	}
	body[32<<20] = '!'
	if u.read("/sparse") != string(body) {
		t.Error("wrong content")
	}
	id := u.id("/sparse")
	if off, err := u.Lseek(id, 0, unix.SEEK_DATA); err != nil || off == 0 || off > 32<<20 {
		t.Errorf("SEEK_DATA: %d, %v", off, err)
	}
	_, err = u.Lseek(id, size, unix.SEEK_DATA)
	u.fails(syscall.ENXIO, err)
	u.settle()
}

func TestCopyUpIsInterruptible(t *testing.T) {
	u := newUnion(t, file("big", bigBody()))
	cancel := make(chan struct{})
	close(cancel)
	id := u.id("/big")
	before := u.attr("/big")
	_, err := u.Write(cancel, id, []byte("x"), 0, false)
	if err == nil {
		t.Skip("the file system clones files, nothing takes time that could be interrupted")
	}
	u.fails(syscall.EINTR, err)
	if u.read("/big") != bigBody() || u.attr("/big").Mtime != before.Mtime {
		t.Error("an interrupted copy-up left its traces")
	}
	if n := u.dataBytes("/big"); n != 0 {
		t.Errorf("%d bytes left", n)
	}
	u.settle()
	u.ok(u.pwrite("/big", "x", 0))
	if u.read("/big") != "x"+bigBody()[1:] {
		t.Error("wrong content")
	}
}

// A file that loses its name, or gets another, while its data is copied.
func TestNameChangesDuringCopyUp(t *testing.T) {
	for name, change := range map[string]func(u *union) error{
		"unlink":  func(u *union) error { return u.unlink("/d/big") },
		"rename":  func(u *union) error { return u.rename("/d/big", "/elsewhere", 0) },
		"replace": func(u *union) error { return u.rename("/d/small", "/d/big", 0) },
		"chmod":   func(u *union) error { return u.chmod("/d/big", 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			u := newUnion(t, dir("d"), file("d/big", bigBody()), file("d/small", "small"))
			id := u.id("/d/big")
			reached, proceed := make(chan struct{}), make(chan struct{})
			var once sync.Once
			u.open = func(h tarindex.Hash, size int64) (*os.File, int64, error) {
				once.Do(func() { close(reached); <-proceed })
				return u.pool.open(h, size)
			}
			done := make(chan error)
			go func() {
				_, err := u.Write(nil, id, []byte("X"), 0, false)
				done <- err
			}()
			<-reached
			u.ok(change(u)) // it does not wait for the copy
			close(proceed)
			u.ok(<-done)
			if got := u.content(id); got != "X"+bigBody()[1:] {
				t.Error("wrong content")
			}
			tree := u.settle()
			if got := tree["/d/big"]; strings.Contains(got, "small") != (name == "replace") {
				t.Errorf("/d/big: %s", got)
			}
		})
	}
}

func TestCopyUpOfEveryType(t *testing.T) {
	u := newUnion(t, sample()...)
	before := u.tree()
	for p := range before {
		id := u.id(p)
		a := u.attr(p)
		_, err := u.Setattr(nil, id, SetAttr{Valid: SetUID | SetGID | SetMode, UID: a.UID, GID: a.GID, Mode: a.Mode})
		u.ok(err)
	}
	after := u.settle()
	for p := range before { // chown drops capabilities
		before[p] = strings.Replace(before[p], ` security.capability="CAP"`, "", 1)
	}
	diffTrees(t, "lower", before, "upper", after)
	if n := u.attr("/usr/bin/perl5").Nlink; n != 3 {
		t.Errorf("nlink %d", n)
	}
}

func TestChownClearsPrivileges(t *testing.T) {
	u := newUnion(t, sample()...)
	u.ok(u.chown("/usr/bin/su", 1, 1))
	if a := u.attr("/usr/bin/su"); a.Mode != unix.S_IFREG|0o755 {
		t.Errorf("mode %o", a.Mode)
	}
	_, err := u.Getxattr(u.id("/usr/bin/su"), "security.capability")
	u.fails(syscall.ENODATA, err)
	if v, err := u.Getxattr(u.id("/usr/bin/su"), "user.note"); err != nil || string(v) != "v" {
		t.Errorf("user.note %q, %v", v, err)
	}
	u.settle()
}

func TestWriteClearsPrivileges(t *testing.T) {
	for _, kill := range []bool{true, false} {
		u := newUnion(t, sample()...)
		id := u.id("/usr/bin/su")
		if _, err := u.Write(nil, id, []byte("x"), 0, kill); err != nil {
			t.Fatal(err)
		}
		want := uint32(unix.S_IFREG | 0o4755)
		if kill {
			want = unix.S_IFREG | 0o755
		}
		if a := u.attr("/usr/bin/su"); a.Mode != want {
			t.Errorf("kill %t: mode %o", kill, a.Mode)
		}
		_, err := u.Getxattr(id, "security.capability")
		u.fails(syscall.ENODATA, err)
		u.settle()
	}
}

func TestMissingContent(t *testing.T) {
	u := newUnion(t, sample()...)
	u.ok(os.RemoveAll(u.pool.dir))
	_, err := u.Read(u.id("/etc/hosts"), make([]byte, 10), 0)
	u.fails(syscall.EIO, err)
	u.fails(syscall.EIO, u.pwrite("/etc/hosts", "x", 0))
	u.ok(u.unlink("/etc/hosts"))
	u.ok(u.rename("/usr/bin/su", "/etc/su", 0))
	u.ok(os.Mkdir(u.pool.dir, 0o755))
}

func TestUnusableUpper(t *testing.T) {
	u := newUnion(t, sample()...)
	u.unmount()
	u.ok(unix.Setxattr(u.o.Upper, xattrOwner, []byte("nonsense"), 0))
	_, err := New(u.o)
	u.fails(syscall.EIO, err)
	u.ok(unix.Setxattr(u.o.Upper, xattrOwner, []byte("5:6"), 0))
	u.mount()
	u.put("/etc/broken", "x")
	u.unmount()
	u.ok(unix.Setxattr(filepath.Join(u.o.Upper, "etc/broken"), xattrOverride, []byte("1:2:3:4"), 0))
	u.mount()
	_, err = u.find("/etc/hosts")
	u.fails(syscall.EIO, err)
}

// The owner of files without a mark of their own is that of the upper, not of
// whoever opens it, maybe in a user namespace.
func TestOwnerOfTheUpper(t *testing.T) {
	u := newUnion(t, sample()...)
	u.put("/plain", "x")
	if xattrOf(t, u.upperPath("/plain"), xattrOverride) != "" {
		t.Error("a plain file has an override_stat")
	}
	u.unmount()
	u.ok(unix.Setxattr(u.o.Upper, xattrOwner, []byte("4321:8765"), 0))
	u.mount()
	if a := u.attr("/plain"); a.UID != 4321 || a.GID != 8765 {
		t.Errorf("%+v", a)
	}
	u.settle()
}

func TestXattrsOfLower(t *testing.T) {
	u := newUnion(t, file("f", "x").with(func(h *tar.Header) {
		h.PAXRecords = map[string]string{
			"SCHILY.xattr.user.overlay.opaque": "y", "SCHILY.xattr.user.containers.override_stat": "0:0:0:file",
			"SCHILY.xattr.trusted.t": "1", "SCHILY.xattr.user.layerfs.origin": "0", "SCHILY.xattr.user.layerfs.escape.x": "2",
		}
	}))
	before := u.tree()["/f"]
	u.ok(u.chmod("/f", 0o644))
	if after := u.settle()["/f"]; after != before {
		t.Errorf("before %s\nafter  %s", before, after)
	}
}
