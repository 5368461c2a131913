package fusefs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// listing is every path below name, sorted.
func (u *union) listing(name string) []string {
	u.t.Helper()
	var paths []string
	check(u.t, filepath.WalkDir(u.at(name), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(u.Target, path)
		paths = append(paths, rel)
		return err
	}))
	slices.Sort(paths)
	return paths
}

func (u *union) wantListing(name string, want ...string) {
	u.t.Helper()
	if got := u.listing(name); !slices.Equal(got, want) {
		u.t.Errorf("%s lists %q, want %q", name, got, want)
	}
}

func TestRenameLowerDirectories(t *testing.T) {
	u := mount(t, "", dir("a"), dir("a/sub"), regular("a/sub/leaf", "leaf"), regular("a/file", "file"), dir("b"), regular("b/x", "x"))
	before := map[string]uint64{"a": u.stat("a").Ino, "leaf": u.stat("a/sub/leaf").Ino}
	cwd := u.open("a/sub", os.O_RDONLY) // somebody works in there
	check(t, os.Rename(u.at("a"), u.at("b/moved")))
	u.wantListing(".", ".", "b", "b/moved", "b/moved/file", "b/moved/sub", "b/moved/sub/leaf", "b/x")
	u.write("b/moved/sub/more", "more")
	check(t, os.Mkdir(u.at("a"), 0o755)) // the old name, empty
	u.wantListing("a", "a")
	if names, err := cwd.Readdirnames(-1); err != nil || len(names) != 2 {
		t.Errorf("the open directory lists %q, %v", names, err)
	}
	for range 2 {
		if u.stat("b/moved").Ino != before["a"] || u.stat("b/moved/sub/leaf").Ino != before["leaf"] {
			t.Error("inode numbers changed with the rename")
		}
		u.want("b/moved/sub/leaf", "leaf")
		u.want("b/moved/sub/more", "more")
		u.wantListing(".", ".", "a", "b", "b/moved", "b/moved/file", "b/moved/sub", "b/moved/sub/leaf", "b/moved/sub/more", "b/x")
		if n := u.stat("b").Nlink; n != 3 {
			t.Errorf("b has %d links, want 3", n)
		}
		u.remount(cwd)
		cwd = u.open("a", os.O_RDONLY)
	}
	check(t, cwd.Close())
}

func TestRenameFlags(t *testing.T) {
	u := mount(t, "", regular("one", "1"), regular("two", "2"), dir("d"), regular("d/in", "in"))
	rename := func(from, to string, flags uint) error {
		return unix.Renameat2(unix.AT_FDCWD, u.at(from), unix.AT_FDCWD, u.at(to), flags)
	}
	wantErr(t, "no replace", rename("one", "two", unix.RENAME_NOREPLACE), unix.EEXIST)
	check(t, rename("one", "three", unix.RENAME_NOREPLACE))
	check(t, rename("three", "two", unix.RENAME_EXCHANGE))
	u.want("two", "1")
	u.want("three", "2")
	check(t, rename("d", "two", unix.RENAME_EXCHANGE))
	u.want("two/in", "in")
	u.want("d", "1")
	wantErr(t, "exchange with nothing", rename("two", "none", unix.RENAME_EXCHANGE), unix.ENOENT)
	wantErr(t, "whiteout", rename("three", "four", unix.RENAME_WHITEOUT), unix.EINVAL)
	wantErr(t, "file over directory", rename("three", "two", 0), unix.EISDIR)
	wantErr(t, "directory over file", rename("two", "three", 0), unix.ENOTDIR)
	wantErr(t, "into itself", rename("two", "two/below", 0), unix.EINVAL)
	check(t, os.Mkdir(u.at("other"), 0o755))
	wantErr(t, "over a full directory", rename("other", "two", 0), unix.ENOTEMPTY)
	check(t, rename("three", "d", 0)) // over a file
	u.want("d", "2")
	u.remount()
	u.wantListing(".", ".", "d", "other", "two", "two/in")
	u.want("d", "2")
}

func TestHardLinks(t *testing.T) {
	u := mount(t, "", dir("d"), regular("a", "data"), hardlink("d/b", "a"), regular("single", "s"))
	ino := u.stat("a").Ino
	check(t, os.Link(u.at("d/b"), u.at("c")))
	check(t, os.Chmod(u.at("c"), 0o600))
	for range 2 {
		for _, name := range []string{"a", "d/b", "c"} {
			if st := u.stat(name); st.Ino != ino || st.Nlink != 3 || st.Mode&0o777 != 0o600 {
				t.Errorf("%s: inode %d (want %d), %d links, mode %o", name, st.Ino, ino, st.Nlink, st.Mode)
			}
			u.want(name, "data")
		}
		u.remount()
	}
	u.write("a", "new data")
	u.want("d/b", "new data")
	check(t, os.Remove(u.at("a")))
	if st := u.stat("c"); st.Nlink != 2 {
		t.Errorf("%d links after one was removed, want 2", st.Nlink)
	}
	wantErr(t, "link to a directory", os.Link(u.at("d"), u.at("e")), unix.EPERM)
	wantErr(t, "link over a name", os.Link(u.at("single"), u.at("c")), unix.EEXIST)
}

func TestRemoveAndMakeAgain(t *testing.T) {
	u := mount(t, "", dir("d"), regular("d/lower", "x"), dir("d/sub"), regular("f", "x"))
	wantErr(t, "rmdir of a full directory", unix.Rmdir(u.at("d")), unix.ENOTEMPTY)
	wantErr(t, "rmdir of a file", unix.Rmdir(u.at("f")), unix.ENOTDIR)
	wantErr(t, "unlink of a directory", unix.Unlink(u.at("d")), unix.EISDIR)
	check(t, os.RemoveAll(u.at("d")))
	check(t, os.Mkdir(u.at("d"), 0o750))
	u.wantListing("d", "d")
	check(t, os.Remove(u.at("f")))
	check(t, os.Symlink("d", u.at("f")))
	wantErr(t, "mkdir over a name", os.Mkdir(u.at("d"), 0o700), unix.EEXIST)
	wantErr(t, "reserved name", os.Mkdir(u.at(".wh.d"), 0o700), unix.EINVAL)
	u.remount()
	u.wantListing(".", ".", "d", "f")
	if st := u.stat("d"); st.Mode != unix.S_IFDIR|0o750 {
		t.Errorf("mode %o of the directory made again", st.Mode)
	}
}

func TestSpecialFiles(t *testing.T) {
	u := mount(t, "", dir("d"))
	check(t, unix.Mkfifo(u.at("d/pipe"), 0o640))
	check(t, unix.Mknod(u.at("d/socket"), unix.S_IFSOCK|0o600, 0))
	check(t, os.Symlink(strings.Repeat("long/", 200), u.at("d/link")))
	wantErr(t, "a whiteout by hand", unix.Mknod(u.at("d/zero"), unix.S_IFCHR, 0), unix.EPERM)
	want := map[string]uint32{"d/pipe": unix.S_IFIFO | 0o640, "d/socket": unix.S_IFSOCK | 0o600, "d/link": unix.S_IFLNK | 0o777}
	if thisWay() == asRoot { // Linux lets nobody else make them
		check(t, unix.Mknod(u.at("d/disk"), unix.S_IFBLK|0o640, int(unix.Mkdev(8, 300))))
		want["d/disk"] = unix.S_IFBLK | 0o640
	}
	for range 2 {
		for name, mode := range want {
			if st := u.stat(name); st.Mode != mode || name == "d/disk" && st.Rdev != unix.Mkdev(8, 300) {
				t.Errorf("%s: mode %o, device %#x, want mode %o", name, st.Mode, st.Rdev, mode)
			}
		}
		u.remount()
	}
}

func TestUmaskAndSetgid(t *testing.T) {
	u := mount(t, "", dir("d"))
	old := unix.Umask(0o027)
	defer unix.Umask(old)
	check(t, os.Mkdir(u.at("d/dir"), 0o777))
	f, err := os.OpenFile(u.at("d/file"), os.O_CREATE|os.O_WRONLY, 0o666)
	check(t, err)
	check(t, f.Close())
	check(t, unix.Mkfifo(u.at("d/pipe"), 0o666))
	for name, mode := range map[string]uint32{"dir": 0o750, "file": 0o640, "pipe": 0o640} {
		st := u.stat("d/" + name)
		if st.Mode&0o7777 != mode || int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid() {
			t.Errorf("%s: mode %o, owner %d:%d, want mode %o, %d:%d", name, st.Mode&0o7777, st.Uid, st.Gid, mode, os.Geteuid(), os.Getegid())
		}
	}
	check(t, os.Chmod(u.at("d/dir"), 0o750|os.ModeSetgid))
	check(t, os.Mkdir(u.at("d/dir/inherits"), 0o777))
	if st := u.stat("d/dir/inherits"); st.Mode&unix.S_ISGID == 0 {
		t.Errorf("mode %o below a setgid directory", st.Mode)
	}
}

// TestAttributesStayFresh looks at attributes after each change, with the
// kernel's caches full: what the kernel cannot know it has to ask.
func TestAttributesStayFresh(t *testing.T) {
	u := mount(t, "", dir("d"), dir("d/e"), regular("d/f", "12345"), hardlink("d/g", "d/f"))
	look := func(name string) unix.Stat_t { _ = u.names("d"); u.stat("d"); return u.stat(name) }
	later := func(what string, a, b unix.Timespec) {
		t.Helper()
		if b.Nano() <= a.Nano() {
			t.Errorf("%s: time went from %d to %d", what, a.Nano(), b.Nano())
		}
	}
	d := look("d")

	u.write("d/new", "x")
	d2 := look("d")
	later("mtime of the directory after a create", d.Mtim, d2.Mtim)
	later("ctime of the directory after a create", d.Ctim, d2.Ctim)

	check(t, os.Mkdir(u.at("d/dir"), 0o755))
	if n := look("d").Nlink; n != d.Nlink+1 {
		t.Errorf("%d links after mkdir, want %d", n, d.Nlink+1)
	}
	check(t, os.Rename(u.at("d/dir"), u.at("dir")))
	if n := look("d").Nlink; n != d.Nlink {
		t.Errorf("%d links after a directory was moved away, want %d", n, d.Nlink)
	}
	if n := look(".").Nlink; n != 4 {
		t.Errorf("root has %d links, want 4", n)
	}
	check(t, os.Chmod(u.at("d/f"), 0o600)) // copies up; a lower file's ctime is its mtime
	f := look("d/f")
	check(t, os.Remove(u.at("d/g")))
	f2 := look("d/f")
	later("ctime after the unlink of another name", f.Ctim, f2.Ctim)
	if f2.Nlink != 1 || f2.Mtim != f.Mtim {
		t.Errorf("after unlink: %d links, mtime %v (was %v)", f2.Nlink, f2.Mtim, f.Mtim)
	}
	check(t, os.Rename(u.at("d/f"), u.at("d/h")))
	f3 := look("d/h")
	later("ctime after rename", f2.Ctim, f3.Ctim)
	w := u.open("d/h", os.O_WRONLY|os.O_APPEND)
	_, err := w.WriteString("678")
	check(t, err)
	f4 := look("d/h")
	later("mtime after a write", f3.Mtim, f4.Mtim)
	if f4.Size != 8 || f4.Blocks == 0 {
		t.Errorf("after an append: %d bytes, %d blocks", f4.Size, f4.Blocks)
	}
	check(t, unix.Setxattr(u.at("d/h"), "user.a", nil, 0))
	later("ctime after setxattr", f4.Ctim, look("d/h").Ctim)
	check(t, w.Truncate(3))
	if s := look("d/h").Size; s != 3 {
		t.Errorf("%d bytes after truncation", s)
	}
	times := []unix.Timespec{{Sec: -7, Nsec: 9}, {Sec: 1 << 33, Nsec: 999999999}}
	check(t, unix.UtimesNanoAt(unix.AT_FDCWD, u.at("d/h"), times, 0))
	u.remount(w)
	if st := u.stat("d/h"); st.Atim != times[0] || st.Mtim != times[1] {
		t.Errorf("times %v and %v, want %v", st.Atim, st.Mtim, times)
	}
}

// TestForgetStorm looks up and changes many names while the kernel forgets them.
func TestForgetStorm(t *testing.T) {
	const dirs, files = 8, 40
	var lower []file
	for d := range dirs {
		lower = append(lower, dir(fmt.Sprintf("d%d", d)))
		for f := range files {
			lower = append(lower, regular(fmt.Sprintf("d%d/f%d", d, f), fmt.Sprintf("%d-%d", d, f)))
		}
	}
	u := mount(t, "", lower...)
	parallel(t, dirs, func(d int) error {
		for round := range 6 {
			if d == 0 && round < 3 && thisWay() == asRoot {
				if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("2"), 0); err != nil {
					return err
				}
			}
			for f := range files {
				name := u.at(fmt.Sprintf("d%d/f%d", d, f))
				want := fmt.Sprintf("%d-%d", d, f)
				if got, err := os.ReadFile(name); err != nil || string(got) != want {
					return fmt.Errorf("round %d: %s holds %q, %v, want %q", round, name, got, err, want)
				}
				other := name + ".moved"
				if err := os.Rename(name, other); err != nil {
					return err
				}
				if f%2 == 0 {
					if err := os.Remove(other); err != nil {
						return err
					}
					if err := os.WriteFile(other, []byte(want), 0o600); err != nil {
						return err
					}
				}
				if err := os.Rename(other, name); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
