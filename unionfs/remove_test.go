package unionfs

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestUnlinkLower(t *testing.T) {
	u := newUnion(t, sample()...)
	for _, p := range []string{"/etc/hosts", "/etc/link", "/dev/null", "/dev/fifo"} {
		u.ok(u.unlink(p))
		_, err := u.find(p)
		u.fails(syscall.ENOENT, err)
	}
	tree := u.settle()
	if tree["/etc/hosts"] != "" || tree["/etc/shadow"] == "" {
		t.Error("wrong files gone")
	}
	up := u.upperFiles()
	want := map[string]string{"/etc": "d", "/etc/hosts": "w", "/etc/link": "w", "/dev": "d", "/dev/null": "w", "/dev/fifo": "w"}
	diffTrees(t, "upper", up, "want", want)
	if st := u.attr("/"); st.Mtime.Sec != lowerTime.Unix() && st.Mtime.Sec != 0 {
		t.Error("copy-up of a directory changed the times of its parent")
	}
	// A name that is taken again, and goes again.
	u.put("/etc/hosts", "new")
	if u.attr("/etc/hosts").Ino < upperIDs {
		t.Error("a new file has the number of the lower file that it hides")
	}
	u.settle()
	u.ok(u.unlink("/etc/hosts"))
	u.settle()
	diffTrees(t, "upper", u.upperFiles(), "want", want)
}

func TestUnlinkUpper(t *testing.T) {
	u := newUnion(t, sample()...)
	u.put("/etc/new", "x")
	u.ok(u.unlink("/etc/new"))
	u.put("/etc/hosts", "changed")
	u.ok(u.unlink("/etc/hosts"))
	u.settle()
	diffTrees(t, "upper", u.upperFiles(), "want", map[string]string{"/etc": "d", "/etc/hosts": "w"})
	u.fails(syscall.ENOENT, u.unlink("/etc/hosts"))
	u.fails(syscall.EISDIR, u.unlink("/usr"))
	u.fails(syscall.ENOTDIR, u.rmdir("/etc/shadow"))
	u.fails(syscall.ENOTEMPTY, u.rmdir("/usr"))
}

func TestRmdir(t *testing.T) {
	u := newUnion(t, sample()...)
	u.ok(u.rmdir("/empty"))
	u.ok(u.unlink("/tree/a/b/deep"))
	u.ok(u.rmdir("/tree/a/b")) // merged, with a whiteout in it
	u.ok(u.mkdir("/tree/up"))
	u.ok(u.rmdir("/tree/up"))
	tree := u.settle()
	for _, p := range []string{"/empty", "/tree/a/b", "/tree/up"} {
		if tree[p] != "" {
			t.Errorf("%s is still there", p)
		}
	}
	if n := u.attr("/tree/a").Nlink; n != 2 {
		t.Errorf("nlink of /tree/a is %d, want 2", n)
	}
	diffTrees(t, "upper", u.upperFiles(), "want", map[string]string{"/empty": "w", "/tree": "d", "/tree/a": "d", "/tree/a/b": "w"})
}

// A directory made again where the lower has one shows nothing of it.
func TestRecreatedDirectoryIsOpaque(t *testing.T) {
	u := newUnion(t, sample()...)
	old := u.attr("/tree/a/b").Ino
	u.ok(u.unlink("/tree/a/b/deep"))
	u.ok(u.rmdir("/tree/a/b"))
	u.ok(u.mkdir("/tree/a/b"))
	if got := u.list("/tree/a/b"); len(got) != 0 {
		t.Errorf("shows %v", got)
	}
	if u.attr("/tree/a/b").Ino == old {
		t.Error("same inode number as the removed directory")
	}
	u.settle()
	u.put("/tree/a/b/deep", "again")
	u.settle()
	if got := u.list("/tree/a/b"); !slices.Equal(got, []string{"deep"}) {
		t.Errorf("shows %v", got)
	}
	u.ok(u.unlink("/tree/a/b/deep"))
	u.ok(u.rmdir("/tree/a/b"))
	u.settle()
	if m := xattrOf(t, u.upperPath("/tree/a"), xattrOpaque); m == "y" {
		t.Errorf("parent is opaque: %q", m)
	}
}

func TestFileOverRemovedDirectory(t *testing.T) {
	u := newUnion(t, sample()...)
	u.ok(u.rmdir("/empty"))
	u.put("/empty", "now a file")
	u.settle()
	u.ok(u.unlink("/empty"))
	u.ok(u.mkdir("/empty"))
	u.settle()
	u.ok(u.unlink("/etc/hosts"))
	u.ok(u.mkdir("/etc/hosts"))
	u.put("/etc/hosts/x", "1")
	u.settle()
}

// Upper directories with whiteouts in xattr form, as on file systems that
// refuse char 0:0.
func TestXattrWhiteouts(t *testing.T) {
	u := newUnion(t, sample()...)
	u.noRenameWhiteout, u.xattrWhiteouts = true, true
	u.ok(u.unlink("/etc/hosts"))
	u.put("/etc/shadow", "x")
	u.ok(u.unlink("/etc/shadow"))
	u.ok(u.rename("/etc/empty", "/etc/moved", 0))
	u.ok(u.rename("/tree/a", "/tree/z", 0))
	u.ok(u.rename("/etc/moved", "/usr/bin/su", 0))
	u.ok(u.unlink("/tree/z/b/deep"))
	u.ok(u.rmdir("/tree/z/b"))
	for p := range u.upperFiles() {
		var st unix.Stat_t
		u.ok(unix.Lstat(u.upperPath(p), &st))
		if st.Mode&unix.S_IFMT == unix.S_IFCHR {
			t.Errorf("%s is a device", p)
		}
	}
	tree := u.settle()
	for _, p := range []string{"/etc/hosts", "/etc/shadow", "/etc/empty", "/etc/moved", "/tree/a", "/tree/z/b"} {
		if tree[p] != "" {
			t.Errorf("%s is still there", p)
		}
	}
	if got := u.read("/usr/bin/su"); got != "" {
		t.Errorf("renamed file is %q", got)
	}
	// overlayfs looks for such whiteouts only in directories marked so.
	if m := xattrOf(t, u.upperPath("/etc"), xattrOpaque); m != "x" {
		t.Errorf("%s is %q, want x", xattrOpaque, m)
	}
}

func TestUnlinkedStaysUsable(t *testing.T) {
	for name, prepare := range map[string]func(u *union){
		"lower":    func(u *union) {},
		"metacopy": func(u *union) { u.ok(u.chmod("/etc/hosts", 0o600)) },
		"upper":    func(u *union) { u.ok(u.pwrite("/etc/hosts", "L", 0)); u.ok(u.pwrite("/etc/hosts", "1", 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			u := newUnion(t, sample()...)
			prepare(u)
			id := u.id("/etc/hosts")
			u.ok(u.unlink("/etc/hosts"))
			a, err := u.Getattr(id)
			u.ok(err)
			if a.Nlink != 0 {
				t.Errorf("nlink %d", a.Nlink)
			}
			if got := u.content(id); got != "127.0.0.1 localhost\n" {
				t.Errorf("content %q", got)
			}
			if _, err := u.Write(nil, id, []byte("X"), 0, false); err != nil {
				t.Fatal(err)
			}
			if got := u.content(id); got != "X27.0.0.1 localhost\n" {
				t.Errorf("content after write %q", got)
			}
			_, err = u.Setattr(nil, id, SetAttr{Valid: SetMode | SetSize, Mode: 0o400, Size: 3})
			u.ok(err)
			if a, _ = u.Getattr(id); a.Mode != unix.S_IFREG|0o400 || a.Size != 3 || a.Nlink != 0 {
				t.Errorf("attributes %+v", a)
			}
			_, err = u.Link(id, u.id("/etc"), "again")
			u.fails(syscall.ENOENT, err)
			u.put("/etc/hosts", "another file")
			if got := u.content(id); got != "X27" {
				t.Errorf("content after the name was taken %q", got)
			}
			u.Forget(id, 1000)
			u.Forget(id, uint64(u.ref(id, 0)))
			u.settle()
		})
	}
}

func TestForgottenIsFreed(t *testing.T) {
	u := newUnion(t, sample()...)
	fds := func() int { l, _ := os.ReadDir("/proc/self/fd"); return len(l) }
	u.put("/warm", "")
	before := fds()
	for range 50 {
		u.put("/warm2", "x")
		id := u.id("/warm2")
		u.ok(u.unlink("/warm2"))
		u.Forget(id, uint64(u.ref(id, 0)))
		if u.table.get(id) != nil {
			t.Fatal("still in the table")
		}
	}
	if after := fds(); after > before+3 {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestRemovedDirectory(t *testing.T) {
	u := newUnion(t, sample()...)
	u.ok(u.mkdir("/new"))
	for _, p := range []string{"/empty", "/new"} {
		id := u.id(p)
		u.ok(u.rmdir(p))
		a, err := u.Getattr(id)
		u.ok(err)
		if a.Nlink != 0 {
			t.Errorf("%s: nlink %d", p, a.Nlink)
		}
		_, err = u.Mkdir(u.cred, id, "x", 0o755)
		u.fails(syscall.ENOENT, err)
		_, err = u.Lookup(id, "x")
		u.fails(syscall.ENOENT, err)
		u.ok(u.Readdir(id, 0, true, func(d DirEntry, _ *Entry) bool { return true }))
		_, err = u.Setattr(nil, id, SetAttr{Valid: SetMode, Mode: 0o700})
		u.ok(err)
		if a, _ = u.Getattr(id); a.Mode&0o777 != 0o700 {
			t.Errorf("%s: mode %o", p, a.Mode)
		}
	}
	u.settle()
}

func xattrOf(t testing.TB, p, name string) string {
	t.Helper()
	b := make([]byte, 1024)
	n, err := unix.Lgetxattr(p, name, b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

func TestReadOnly(t *testing.T) {
	u := newUnion(t, sample()...)
	u.put("/etc/hosts", "changed")
	want := u.tree()
	u.unmount()
	u.o.ReadOnlyUpper, u.o.Work = true, ""
	u.mount()
	diffTrees(t, "read-write", want, "read-only", u.tree())
	u.fails(syscall.EROFS, u.unlink("/etc/hosts"))
	u.fails(syscall.EROFS, u.mkdir("/x"))
	u.fails(syscall.EROFS, u.chmod("/etc/hosts", 0))
	u.fails(syscall.EROFS, u.pwrite("/etc/shadow", "x", 0))
	u.fails(syscall.EROFS, u.rename("/etc", "/x", 0))
	u.unmount()
	u.o.Upper = ""
	u.mount()
	if got := u.read("/etc/hosts"); got != "127.0.0.1 localhost\n" {
		t.Errorf("content %q", got)
	}
	if st, err := u.Statfs(); err != nil || st.Blocks == 0 {
		t.Errorf("statfs %+v, %v", st, err)
	}
	u.unmount()
	u.o.Upper = filepath.Join(t.TempDir(), "missing")
	if _, err := New(u.o); err == nil {
		t.Error("opened a missing upper")
	}
	u.o.Upper = ""
	u.mount()
}
