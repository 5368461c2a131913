package tarindex

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Tars of independent writers: GNU tar, bsdtar, Python. Each must come back
// exact, and mean what the directory that it was made of is.

// realTree makes a directory with what a plain user can make.
func realTree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(at("d/e/empty"), 0o755))
	must(os.WriteFile(at("d/f"), []byte("content"), 0o640))
	must(os.WriteFile(at("none"), nil, 0o600))
	must(os.WriteFile(at("big"), bytes.Repeat([]byte("0123456789"), 100_000), 0o644))
	must(os.Link(at("d/f"), at("d/e/g")))
	must(os.Symlink("../d/f", at("d/s")))
	must(os.Symlink(strings.Repeat("t", 300), at("long")))
	long := strings.Repeat("directory/", 15)
	must(os.MkdirAll(at(long), 0o755))
	must(os.WriteFile(at(long+strings.Repeat("n", 250)), []byte("deep"), 0o644))
	must(os.WriteFile(at("caf\xc3\xa9"), []byte("utf-8"), 0o644))
	must(os.WriteFile(at("caf\xe9"), []byte("latin-1"), 0o644))
	must(os.WriteFile(at("new\nline"), []byte("odd"), 0o644))
	sparse, err := os.Create(at("sparse"))
	must(err)
	for _, off := range []int64{1 << 20, 3 << 20, 5 << 20, 7 << 20, 9 << 20, 11 << 20} {
		_, err = sparse.WriteAt([]byte("data"), off)
		must(err)
	}
	must(sparse.Truncate(12 << 20))
	must(sparse.Close())
	must(os.Chmod(at("d"), 0o755|os.ModeSticky))
	return root
}

// describe lists a directory of the host as describeIndex lists an index.
func describe(t *testing.T, root string, nanoseconds bool) []string {
	t.Helper()
	format := `%y %m %s %T@ %n %P -> %l\0`
	out := runIn(t, root, "find", ".", "-mindepth", "1", "(", "-type", "d", "-printf", `%y %m - %T@ - %P -> \0`, ")", "-o", "-printf", format)
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		f := strings.SplitN(line, " ", 5)
		seconds, fraction, _ := strings.Cut(f[3], ".")
		if nanoseconds {
			seconds += "." + fraction[:9]
		}
		f[3] = seconds
		lines = append(lines, strings.Join(f, " "))
	}
	slices.Sort(lines)
	return lines
}

func describeIndex(x *Index, nanoseconds bool) []string {
	var lines []string
	for d := range Ino(x.Len()) {
		for k := range x.Children(d) {
			name, i := x.Child(d, k)
			a := x.Attr(i)
			kind, size, links := "f", fmt.Sprint(a.Size), fmt.Sprint(a.Nlink)
			switch a.Mode & ModeType {
			case ModeDir:
				kind, size, links = "d", "-", "-"
			case ModeSymlink:
				kind = "l"
			}
			mtime := fmt.Sprint(a.Mtime.Sec)
			if nanoseconds {
				mtime += fmt.Sprintf(".%09d", a.Mtime.Nsec)
			}
			p := strings.TrimLeft(x.Path(d)+"/"+name, "/")
			lines = append(lines, fmt.Sprintf("%s %o %s %s %s %s -> %s", kind, a.Mode&0o7777, size, mtime, links, p, x.Readlink(i)))
		}
	}
	slices.Sort(lines)
	return lines
}

func TestWriters(t *testing.T) {
	root := realTree(t)
	python := func(format string) []string {
		return []string{"python3", "-c", `
import sys, tarfile
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.` + format + `, encoding="utf-8", errors="surrogateescape") as t:
    t.add(".")`}
	}
	gnu := func(args ...string) []string {
		return append([]string{"env", "LC_ALL=C", "tar", "-c"}, append(args, ".")...)
	}
	for _, tc := range []struct {
		name        string
		command     []string
		nanoseconds bool
	}{
		{"gnu", gnu("--format=gnu"), false},
		{"oldgnu", gnu("--format=oldgnu"), false},
		{"oldgnu sparse", gnu("--format=oldgnu", "--sparse"), false},
		{"gnu sparse", gnu("--format=gnu", "--sparse"), false},
		{"posix", gnu("--format=posix"), true},
		{"posix sparse 0.0", gnu("--format=posix", "--sparse", "--sparse-version=0.0"), true},
		{"posix sparse 0.1", gnu("--format=posix", "--sparse", "--sparse-version=0.1"), true},
		{"posix sparse 1.0", gnu("--format=posix", "--sparse", "--sparse-version=1.0"), true},
		{"gnu incremental", gnu("--format=gnu", "--listed-incremental="+filepath.Join(t.TempDir(), "snapshot")), false},
		{"gnu label", gnu("--format=gnu", "--label=volume"), false},
		{"gnu blocking", gnu("--blocking-factor=1"), false},
		{"bsdtar pax", []string{"env", "LC_ALL=C.UTF-8", "bsdtar", "-c", "--format=pax", "-f", "-", "."}, true},
		{"bsdtar gnutar", []string{"env", "LC_ALL=C.UTF-8", "bsdtar", "-c", "--format=gnutar", "-f", "-", "."}, false},
		{"python pax", python("PAX_FORMAT"), true},
		{"python gnu", python("GNU_FORMAT"), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			data := runIn(t, root, tc.command[0], tc.command[1:]...)
			s := roundTrip(t, data)
			x := mergeLayers(t, s.index)
			want := describe(t, root, tc.nanoseconds)
			got := describeIndex(x, tc.nanoseconds)
			if strings.HasPrefix(tc.name, "python pax") { // its times are floats
				want, got = describe(t, root, false), describeIndex(x, false)
			}
			if diff := sameLines(got, want...); diff != "" {
				t.Error(diff)
			}
			sparse, _ := x.Lookup(Root, "sparse")
			h, _ := x.Content(sparse)
			disk, err := os.ReadFile(filepath.Join(root, "sparse"))
			if err != nil || !bytes.Equal(s.sink.contents[h], disk) {
				t.Errorf("sparse: %d bytes that differ: %v", len(s.sink.contents[h]), err)
			}
			if len(s.Warnings) > 0 && tc.name != "gnu label" {
				t.Errorf("warnings: %q", s.Warnings)
			}
		})
	}
}

// Odd tars that Python writes on purpose.
func TestPythonOddities(t *testing.T) {
	data := runIn(t, t.TempDir(), "python3", "-c", `
import sys, io, tarfile
t = tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT, pax_headers={"comment": "global"})
def add(name, type=tarfile.REGTYPE, data=b"", **kw):
    i = tarfile.TarInfo(name); i.type = type; i.size = len(data)
    for k, v in kw.items(): setattr(i, k, v)
    t.addfile(i, io.BytesIO(data))
add("uid", uid=2**31+5, gid=2**32-2, data=b"1")
add("time", mtime=-3.5, data=b"2")
add("xattr", pax_headers={"SCHILY.xattr.user.a": "v", "SCHILY.xattr.user.empty": ""}, data=b"3")
add("dev", type=tarfile.CHRTYPE, devmajor=240, devminor=1048575)
add("/".join(["p" * 200] * 8), data=b"4")
add("dup", data=b"5"); add("dup", data=b"6")
add("link", type=tarfile.LNKTYPE, linkname="./dup")
t.close()`)
	s := roundTrip(t, data)
	x := mergeLayers(t, s.index)
	get := func(name string) (Ino, Attr) {
		i, ok := x.Lookup(Root, name)
		if !ok {
			t.Errorf("no %s", name)
		}
		return i, x.Attr(i)
	}
	if _, a := get("uid"); a.UID != 2147483653 || a.GID != 4294967294 {
		t.Errorf("uid: %+v", a)
	}
	if _, a := get("time"); a.Mtime != (Time{-4, 500_000_000}) {
		t.Errorf("time: %+v", a)
	}
	i, _ := get("xattr")
	if v, ok := x.Xattr(i, "user.a"); !ok || string(v) != "v" {
		t.Errorf("xattr: %q", v)
	}
	if _, a := get("dev"); a.Mode&ModeType != ModeChar || a.Major != 240 || a.Minor != 1048575 {
		t.Errorf("dev: %+v", a)
	}
	if i, a := get("dup"); a.Nlink != 2 || contentOf(x, i, s.sink.text) != "6" {
		t.Errorf("dup: %+v", a)
	}
}
