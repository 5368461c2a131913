package fusefs

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// variety is a lower with one of everything.
func variety() []file {
	odd := regular("odd", "x")
	odd.Mode, odd.Uid, odd.Gid = 0o4751, 0, 0
	odd.ModTime = time.Unix(-86400, 5) // before the epoch
	attributed := regular("attributed", "x")
	attributed.PAXRecords = map[string]string{
		"SCHILY.xattr.user.color":   "blue",
		"SCHILY.xattr.user.empty":   "",
		"SCHILY.xattr.trusted.deep": "secret",
	}
	return []file{
		dir("etc"), regular("etc/passwd", "root:x:0:0\n"), symlink("etc/link", "passwd"), hardlink("etc/hard", "etc/passwd"),
		dir("etc/empty"), dir("etc/sub"), dir("etc/sub/deep"), regular("etc/sub/deep/leaf", strings.Repeat("leaf", 5000)),
		{Header: tar.Header{Name: "pipe", Typeflag: tar.TypeFifo, Mode: 0o600}},
		{Header: tar.Header{Name: "null", Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3}},
		{Header: tar.Header{Name: "disk", Typeflag: tar.TypeBlock, Mode: 0o660, Devmajor: 259, Devminor: 70000}},
		regular("empty", ""), regular("bytes \xff\xfe", "not UTF-8"), odd, attributed,
	}
}

func TestLowerTree(t *testing.T) {
	u := mount(t, "", variety()...)
	for _, c := range []struct {
		name  string
		mode  uint32
		nlink uint64
		size  int64
		rdev  uint64
	}{
		{".", unix.S_IFDIR | 0o755, 3, 4096, 0},
		{"etc", unix.S_IFDIR | 0o755, 4, 4096, 0},
		{"etc/passwd", unix.S_IFREG | 0o644, 2, 11, 0},
		{"etc/hard", unix.S_IFREG | 0o644, 2, 11, 0},
		{"etc/link", unix.S_IFLNK | 0o777, 1, 6, 0},
		{"etc/sub/deep/leaf", unix.S_IFREG | 0o644, 1, 20000, 0},
		{"pipe", unix.S_IFIFO | 0o600, 1, 0, 0},
		{"null", unix.S_IFCHR | 0o666, 1, 0, unix.Mkdev(1, 3)},
		{"disk", unix.S_IFBLK | 0o660, 1, 0, unix.Mkdev(259, 70000)},
		{"empty", unix.S_IFREG | 0o644, 1, 0, 0},
		{"bytes \xff\xfe", unix.S_IFREG | 0o644, 1, 9, 0},
		{"odd", unix.S_IFREG | 0o4751, 1, 1, 0},
	} {
		st := u.stat(c.name)
		if st.Mode != c.mode || st.Nlink != c.nlink || st.Size != c.size || st.Rdev != c.rdev || st.Uid != 0 || st.Gid != 0 {
			t.Errorf("%s: mode %o, %d links, %d bytes, device %#x, owner %d:%d; want %o, %d, %d, %#x, 0:0",
				c.name, st.Mode, st.Nlink, st.Size, st.Rdev, st.Uid, st.Gid, c.mode, c.nlink, c.size, c.rdev)
		}
	}
	if st := u.stat("etc/passwd"); st.Mtim.Sec != 1600000000 || st.Mtim.Nsec != 123456789 {
		t.Errorf("mtime %v", st.Mtim)
	}
	if st := u.stat("odd"); st.Mtim.Sec != -86400 || st.Mtim.Nsec != 5 {
		t.Errorf("mtime before the epoch: %v", st.Mtim)
	}
	if a, b := u.stat("etc/passwd"), u.stat("etc/hard"); a.Ino != b.Ino || a.Dev != b.Dev {
		t.Errorf("hard links have inodes %d and %d", a.Ino, b.Ino)
	}
	u.want("etc/link", "root:x:0:0\n")
	u.want("etc/sub/deep/leaf", strings.Repeat("leaf", 5000))
	u.want("bytes \xff\xfe", "not UTF-8")
	if to, err := os.Readlink(u.at("etc/link")); to != "passwd" || err != nil {
		t.Errorf("readlink: %q, %v", to, err)
	}
	want := []string{"attributed", "bytes \xff\xfe", "disk", "empty", "etc", "null", "odd", "pipe"}
	if got := u.names("."); !slices.Equal(got, want) {
		t.Errorf("root lists %q, want %q", got, want)
	}
	_, err := os.Lstat(u.at("etc/missing"))
	wantErr(t, "missing name", err, os.ErrNotExist)
	_, err = os.Lstat(u.at(strings.Repeat("n", 256)))
	wantErr(t, "name of 256 bytes", err, unix.ENAMETOOLONG)
	_, err = os.Lstat(u.at(strings.Repeat("n", 255)))
	wantErr(t, "name of 255 bytes", err, unix.ENOENT)
	_, err = os.ReadDir(u.at("empty"))
	wantErr(t, "a file as a directory", err, unix.ENOTDIR)
}

func TestStatx(t *testing.T) {
	u := mount(t, "", variety()...)
	for _, name := range []string{"etc/passwd", "etc/link", "etc"} {
		var sx unix.Statx_t
		check(t, unix.Statx(unix.AT_FDCWD, u.at(name), unix.AT_SYMLINK_NOFOLLOW|unix.AT_STATX_FORCE_SYNC,
			unix.STATX_BASIC_STATS|unix.STATX_BTIME, &sx))
		st := u.stat(name)
		if sx.Mask&unix.STATX_BASIC_STATS != unix.STATX_BASIC_STATS {
			t.Errorf("%s: statx knows only %#x", name, sx.Mask)
		}
		if sx.Ino != st.Ino || uint32(sx.Mode) != st.Mode || sx.Size != uint64(st.Size) || uint64(sx.Nlink) != st.Nlink || sx.Mtime.Sec != st.Mtim.Sec {
			t.Errorf("%s: statx %+v and stat %+v differ", name, sx, st)
		}
	}
}

func TestStatfs(t *testing.T) {
	u := mount(t, "", variety()...)
	var mounted, below unix.Statfs_t
	check(t, unix.Statfs(u.Target, &mounted))
	check(t, unix.Statfs(u.path("upper"), &below))
	if mounted.Namelen != 255 || mounted.Blocks == 0 || mounted.Blocks*uint64(mounted.Frsize) != below.Blocks*uint64(below.Frsize) {
		t.Errorf("statfs %+v, below %+v", mounted, below)
	}
}

func TestReadOnly(t *testing.T) {
	u := mount(t, "ro", variety()...)
	u.want("etc/passwd", "root:x:0:0\n")
	wantErr(t, "write", os.WriteFile(u.at("etc/passwd"), nil, 0), unix.EROFS)
	wantErr(t, "create", os.WriteFile(u.at("new"), nil, 0o600), unix.EROFS)
	wantErr(t, "mkdir", os.Mkdir(u.at("newdir"), 0o700), unix.EROFS)
	wantErr(t, "unlink", os.Remove(u.at("empty")), unix.EROFS)
	wantErr(t, "chmod", os.Chmod(u.at("empty"), 0o600), unix.EROFS)
	wantErr(t, "setxattr", unix.Setxattr(u.at("empty"), "user.a", nil, 0), unix.EROFS)
}

func TestXattrs(t *testing.T) {
	u := mount(t, "", variety()...)
	get := func(name, attr string) string {
		t.Helper()
		buf := make([]byte, 70000)
		n, err := unix.Lgetxattr(u.at(name), attr, buf)
		if err != nil {
			t.Errorf("%s of %s: %v", attr, name, err)
			return ""
		}
		return string(buf[:n])
	}
	list := func(name string) []string {
		t.Helper()
		buf := make([]byte, 70000)
		n, err := unix.Llistxattr(u.at(name), buf)
		check(t, err)
		if size, err := unix.Llistxattr(u.at(name), nil); size != n || err != nil {
			t.Errorf("listxattr of %s says %d bytes, %v, and gives %d", name, size, err, n)
		}
		names := strings.FieldsFunc(string(buf[:n]), func(r rune) bool { return r == 0 })
		slices.Sort(names)
		return names
	}

	if v := get("attributed", "user.color"); v != "blue" {
		t.Errorf("user.color is %q", v)
	}
	if v := get("attributed", "user.empty"); v != "" {
		t.Errorf("user.empty is %q", v)
	}
	_, err := unix.Getxattr(u.at("attributed"), "user.color", make([]byte, 3))
	wantErr(t, "short buffer", err, unix.ERANGE)
	_, err = unix.Getxattr(u.at("attributed"), "user.none", nil)
	wantErr(t, "no such attribute", err, unix.ENODATA)

	want := []string{"user.color", "user.empty"}
	if thisWay() == asRoot {
		want = []string{"trusted.deep", "user.color", "user.empty"}
	}
	if got := list("attributed"); !slices.Equal(got, want) {
		t.Errorf("attributed has %q, want %q", got, want)
	}

	big := string(bytes.Repeat([]byte("v"), 2000))
	check(t, unix.Setxattr(u.at("etc/passwd"), "user.big", []byte(big), 0))
	check(t, unix.Setxattr(u.at("etc"), "user.dir", []byte("d"), unix.XATTR_CREATE))
	wantErr(t, "create twice", unix.Setxattr(u.at("etc"), "user.dir", nil, unix.XATTR_CREATE), unix.EEXIST)
	wantErr(t, "replace none", unix.Setxattr(u.at("etc"), "user.none", nil, unix.XATTR_REPLACE), unix.ENODATA)
	check(t, unix.Setxattr(u.at("etc"), "user.dir", []byte("e"), unix.XATTR_REPLACE))
	check(t, unix.Removexattr(u.at("attributed"), "user.color"))
	wantErr(t, "remove none", unix.Removexattr(u.at("attributed"), "user.color"), unix.ENODATA)
	for range 2 { // as they are, and after a remount
		if get("etc/passwd", "user.big") != big || get("etc/hard", "user.big") != big {
			t.Error("user.big differs")
		}
		if v := get("etc", "user.dir"); v != "e" {
			t.Errorf("user.dir is %q", v)
		}
		if got := list("attributed"); !slices.Equal(got, slices.DeleteFunc(slices.Clone(want), func(n string) bool { return n == "user.color" })) {
			t.Errorf("attributed has %q after user.color was removed", got)
		}
		u.remount()
	}
}

// TestDirectoryChangesWhileRead reads a big directory in small steps while
// names come and go: each name that stays is seen exactly once.
func TestDirectoryChangesWhileRead(t *testing.T) {
	const n = 1500
	files := []file{dir("d")}
	for i := range n {
		files = append(files, regular(fmt.Sprintf("d/lower-%04d", i), ""))
	}
	u := mount(t, "", files...)
	for i := range n / 10 {
		u.write(fmt.Sprintf("d/upper-%04d", i), "")
	}
	for _, change := range []bool{true, false, false} { // the last pass out of the kernel's cache
		d := u.open("d", os.O_RDONLY)
		seen := map[string]int{}
		for i := 1; ; i += 2 {
			names, err := d.Readdirnames(37)
			for _, name := range names {
				seen[name]++
			}
			if err != nil {
				break
			}
			if change && i < n { // odd names go, new names come
				check(t, os.Remove(u.at(fmt.Sprintf("d/lower-%04d", i))))
				u.write(fmt.Sprintf("d/new-%04d", i), "")
			}
		}
		for name, times := range seen {
			if times > 1 {
				t.Errorf("changing %v: %s was listed %d times", change, name, times)
			}
			if !change && !exists(u.at("d/"+name)) {
				t.Errorf("%s was listed and is gone", name)
			}
		}
		for i := 0; i < n; i += 2 {
			if name := fmt.Sprintf("lower-%04d", i); seen[name] != 1 {
				t.Errorf("changing %v: %s was listed %d times", change, name, seen[name])
			}
		}
		for i := range n / 10 {
			if name := fmt.Sprintf("upper-%04d", i); seen[name] != 1 {
				t.Errorf("changing %v: %s was listed %d times", change, name, seen[name])
			}
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
