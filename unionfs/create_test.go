package unionfs

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCreate(t *testing.T) {
	u := newUnion(t, sample()...)
	u.put("/etc/new", "hello")
	u.ok(u.mkdir("/etc/new.d"))
	u.ok(u.symlink("../x y", "/etc/new.d/link"))
	u.ok(u.mknod("/dev/fifo2", unix.S_IFIFO|0o600, 0, 0))
	u.ok(u.mknod("/dev/sock", unix.S_IFSOCK|0o777, 0, 0))
	u.ok(u.mknod("/dev/zero", unix.S_IFCHR|0o666, 1, 5))
	u.ok(u.mknod("/dev/big", unix.S_IFBLK|0o660, 259, 70000))
	u.ok(u.mknod("/etc/set", unix.S_IFREG|0o4755, 0, 0))
	u.ok(u.mknod("/etc/none", unix.S_IFREG, 0, 0))
	u.settle()
	for p, mode := range map[string]uint32{
		"/etc/new": unix.S_IFREG | 0o644, "/etc/new.d": unix.S_IFDIR | 0o755, "/etc/new.d/link": unix.S_IFLNK | 0o777,
		"/dev/fifo2": unix.S_IFIFO | 0o600, "/dev/sock": unix.S_IFSOCK | 0o777, "/dev/zero": unix.S_IFCHR | 0o666,
		"/dev/big": unix.S_IFBLK | 0o660, "/etc/set": unix.S_IFREG | 0o4755, "/etc/none": unix.S_IFREG,
	} {
		if a := u.attr(p); a.Mode != mode || a.UID != u.cred.UID || a.GID != u.cred.GID || a.Ino <= upperIDs {
			t.Errorf("%s: %+v, want mode %o", p, a, mode)
		}
	}
	if a := u.attr("/dev/big"); a.Major != 259 || a.Minor != 70000 || a.Size != 0 {
		t.Errorf("/dev/big: %+v", a)
	}
	if target, err := u.Readlink(u.id("/etc/new.d/link")); err != nil || target != "../x y" {
		t.Errorf("readlink: %q, %v", target, err)
	}
	if n := u.attr("/etc").Nlink; n != 3 {
		t.Errorf("nlink of /etc is %d, want 3", n)
	}
	// Nothing in the upper needs privilege, or gives any.
	for p, kind := range u.upperFiles() {
		var st unix.Stat_t
		u.ok(unix.Lstat(u.upperPath(p), &st))
		if kind != "f" && kind != "d" || st.Mode&0o7000 != 0 || st.Mode&0o600 != 0o600 {
			t.Errorf("upper %s is %s with mode %o", p, kind, st.Mode)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	u := newUnion(t, sample()...)
	long := strings.Repeat("n", 255)
	u.put("/"+long, "")
	for _, c := range []struct {
		name string
		want syscall.Errno
		err  error
	}{
		{"whiteout device", syscall.EPERM, u.mknod("/w", unix.S_IFCHR|0o600, 0, 0)},
		{"whiteout name", syscall.EINVAL, u.mkdir("/.wh.x")},
		{"opaque name", syscall.EINVAL, u.put2("/etc/.wh..wh..opq")},
		{"whiteout symlink", syscall.EINVAL, u.symlink("x", "/.wh.x")},
		{"whiteout link", syscall.EINVAL, u.link("/etc/hosts", "/.wh.x")},
		{"whiteout rename", syscall.EINVAL, u.rename("/etc/hosts", "/.wh.x", 0)},
		{"existing lower", syscall.EEXIST, u.mkdir("/etc")},
		{"existing upper", syscall.EEXIST, u.mkdir("/" + long)},
		{"long name", syscall.ENAMETOOLONG, u.mkdir("/" + long + "n")},
		{"long symlink", syscall.ENAMETOOLONG, u.symlink(strings.Repeat("x", 4096), "/s")},
		{"directory by mknod", syscall.EINVAL, u.mknod("/d", unix.S_IFDIR|0o755, 0, 0)},
		{"in a file", syscall.ENOTDIR, u.mkdir("/etc/hosts/x")},
	} {
		t.Run(c.name, func(t *testing.T) { u.fails(c.want, c.err) })
	}
	_, err := u.find("/" + long + "n")
	u.fails(syscall.ENAMETOOLONG, err)
	u.settle()
}

func (u *union) put2(p string) error { return u.mknod(p, unix.S_IFREG|0o644, 0, 0) }

func TestOwnersOfNewFiles(t *testing.T) {
	u := newUnion(t, sample()...)
	u.cred = Cred{UID: 1234, GID: 99, Umask: 0o027}
	u.put("/a", "x")
	u.ok(u.mkdir("/d"))
	u.ok(u.chown("/d", 5, 77))
	u.ok(u.chmod("/d", 0o2775))
	u.put("/d/file", "x")
	u.ok(u.mkdir("/d/sub"))
	u.settle()
	for p, want := range map[string][3]uint32{
		"/a": {unix.S_IFREG | 0o640, 1234, 99}, "/d": {unix.S_IFDIR | 0o2775, 5, 77},
		"/d/file": {unix.S_IFREG | 0o640, 1234, 77}, "/d/sub": {unix.S_IFDIR | 0o2750, 1234, 77},
	} {
		a := u.attr(p)
		if got := [3]uint32{a.Mode, a.UID, a.GID}; got != want {
			t.Errorf("%s: %o, want %o", p, got, want)
		}
	}
	if got := xattrOf(t, u.upperPath("/d/sub"), xattrOverride); got != "1234:77:2750:dir" {
		t.Errorf("%s is %q", xattrOverride, got)
	}
}

func TestTmpfile(t *testing.T) {
	u := newUnion(t, sample()...)
	d := u.id("/etc")
	e, err := u.Tmpfile(u.cred, d, 0o600)
	u.ok(err)
	if _, err := u.Write(nil, e.ID, []byte("data"), 0, false); err != nil {
		t.Fatal(err)
	}
	if a, _ := u.Getattr(e.ID); a.Nlink != 0 || a.Size != 4 {
		t.Errorf("%+v", a)
	}
	linked, err := u.Link(e.ID, d, "named")
	u.ok(err)
	if linked.ID != e.ID || linked.Attr.Nlink != 1 {
		t.Errorf("linked as %+v, was %d", linked, e.ID)
	}
	other, err := u.Tmpfile(u.cred, d, 0o600)
	u.ok(err)
	u.Forget(other.ID, 1)
	u.settle()
	if got := u.read("/etc/named"); got != "data" {
		t.Errorf("content %q", got)
	}
}

// Offsets of a listing stay good while names come and go.
func TestReaddirUnderChange(t *testing.T) {
	var entries []lowerEntry
	for _, n := range "acegikmo" {
		entries = append(entries, file(string(n), ""))
	}
	u := newUnion(t, entries...)
	for _, n := range "bdfhjln" {
		u.put("/"+string(n), "")
	}
	var seen []string
	var off uint64
	step := func(n int) {
		u.ok(u.Readdir(RootID, off, false, func(d DirEntry, _ *Entry) bool {
			if n--; n < 0 {
				return false
			}
			seen, off = append(seen, d.Name), d.Off
			return true
		}))
	}
	step(4) // . .. a c
	u.ok(u.unlink("/a"))
	u.put("/z", "")
	u.ok(u.unlink("/e"))
	u.ok(u.rename("/b", "/y", 0))
	step(7) // g i k m o d f
	u.ok(u.unlink("/d"))
	u.put("/a", "")
	u.ok(u.unlink("/h"))
	step(100)
	want := strings.Split(". .. a c g i k m o d f j l n z y", " ")
	if !slices.Equal(seen, want) {
		t.Errorf("listed %v\nwant   %v", seen, want)
	}
	for i := range 200 { // tombstones are cleared away
		u.put("/t"+string(rune('0'+i%10)), "")
		u.ok(u.unlink("/t" + string(rune('0'+i%10))))
	}
	if n := len(u.root.dir.extra); n > 100 {
		t.Errorf("%d places for %d names", n, len(u.list("/")))
	}
	before := off
	seen = nil
	step(100)
	if len(seen) != 0 || off != before {
		t.Errorf("listed %v behind the end", seen)
	}
	u.settle()
}
