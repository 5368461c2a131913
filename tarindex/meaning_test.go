package tarindex

import (
	"strings"
	"testing"
)

// What layers mean on top of each other: docs/semantics.md, case by case.
func TestMeaning(t *testing.T) {
	lower := tarOf(dir("a"), file("a/b", "ab"), file("a/c", "ac"), file("f", "f"), symlink("lib", "usr/lib"),
		dir("usr"), dir("usr/lib"), file("usr/lib/x", "x"), file("h1", "h"), hardlink("h2", "h1"))
	all := []string{"a/", "a/b=ab", "a/c=ac", "f=f", "h1=h #2", "h2=h #2", "lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/x=x"}
	// with returns the lower tree without the lines that drop names, and
	// with others.
	with := func(drop string, add ...string) []string {
		var lines []string
		for _, l := range all {
			name, _, _ := strings.Cut(strings.TrimSuffix(l, "/"), "=")
			name, _, _ = strings.Cut(name, " ")
			gone := false
			for _, d := range strings.Fields(drop) {
				gone = gone || name == d || strings.HasPrefix(name, d+"/")
			}
			if !gone {
				lines = append(lines, l)
			}
		}
		return append(lines, add...)
	}
	for _, tc := range []struct {
		name  string
		layer []byte
		want  []string // in any order
	}{
		{"nothing", tarOf(), all},
		{"file over file", tarOf(file("f", "new")), with("f", "f=new")},
		{"file over directory", tarOf(file("a", "new")), with("a", "a=new")},
		{"directory over file", tarOf(dir("f"), file("f/g", "new")), with("f", "f/", "f/g=new")},
		{"directory over directory", tarOf(dir("a"), file("a/d", "new")), with("", "a/d=new")},
		{"directory over symbolic link", tarOf(dir("lib"), file("lib/y", "y")), with("lib", "lib/", "lib/y=y")},
		{"implied directory over directory", tarOf(file("a/d", "new")), with("", "a/d=new")},
		{"implied directory over file", tarOf(file("f/g", "new")), with("f", "f/", "f/g=new")},
		{"symbolic link over directory", tarOf(symlink("a", "usr")), with("a", "a -> usr")},

		{"whiteout", tarOf(file(".wh.f", "")), with("f")},
		{"whiteout of a directory", tarOf(file(".wh.a", "")), with("a")},
		{"whiteout in a directory", tarOf(file("a/.wh.b", "")), with("a/b")},
		{"whiteout that is a directory", tarOf(dir(".wh.f")), with("f")},
		{"whiteout of nothing", tarOf(file(".wh.none", ""), file("no/such/.wh.x", "")), all},
		{"whiteout below a file", tarOf(file("f/.wh.x", "")), all},
		{"whiteout and the new file after it", tarOf(file(".wh.f", ""), file("f", "new")), with("f", "f=new")},
		{"whiteout and the new file before it", tarOf(file("f", "new"), file(".wh.f", "")), with("f", "f=new")},
		{"whiteout and the new directory before it", tarOf(dir("a"), file("a/n", "new"), file(".wh.a", "")), with("a", "a/", "a/n=new")},
		{"whiteout and an implied directory", tarOf(file("a/n", "new"), file(".wh.a", "")), with("a", "a/", "a/n=new")},
		{"whiteout, and another in what it hides", tarOf(file(".wh.a", ""), file("a/.wh.b", "")), with("a")},
		{"whiteout as a directory is a name", tarOf(file(".wh.f/g", "new")), with("", ".wh.f/", ".wh.f/g=new")},
		{"whiteouts of impossible names", tarOf(file(".wh.", ""), file(".wh..", ""), file("a/.wh...", "")), all},
		{"whiteout of one name of a group", tarOf(file(".wh.h1", "")), with("h1 h2", "h2=h")},

		{"opaque", tarOf(dir("a"), file("a/.wh..wh..opq", ""), file("a/n", "new")), with("a/b a/c", "a/n=new")},
		{"opaque after its directory's files", tarOf(dir("a"), file("a/n", "new"), file("a/.wh..wh..opq", "")), with("a/b a/c", "a/n=new")},
		{"opaque after implied directories", tarOf(file("a/d/e", "new"), file("a/.wh..wh..opq", "")), with("a/b a/c", "a/d/", "a/d/e=new")},
		{"opaque alone", tarOf(file("a/.wh..wh..opq", "")), with("a/b a/c")},
		{"opaque root", tarOf(file(".wh..wh..opq", ""), file("n", "new")), []string{"n=new"}},
		{"opaque where nothing is", tarOf(file("none/.wh..wh..opq", "")), all},

		{"hard link within the layer", tarOf(file("n", "new"), hardlink("m", "n")), with("", "n=new #2", "m=new #2")},
		{"hard link before its target", tarOf(hardlink("m", "n"), file("n", "new")), with("", "n=new #2", "m=new #2")},
		{"hard links in a chain, backwards", tarOf(hardlink("k", "m"), hardlink("m", "n"), file("n", "new")), with("", "n=new #3", "m=new #3", "k=new #3")},
		{"hard links in a circle", tarOf(hardlink("k", "m"), hardlink("m", "k")), all},
		{"hard link to itself", tarOf(hardlink("n", "n")), all},
		{"hard link to a symbolic link", tarOf(symlink("s", "f"), hardlink("m", "s")), with("", "s -> f #2", "m -> f #2")},
		{"hard link to a lower file", tarOf(hardlink("m", "f")), with("f", "f=f #2", "m=f #2")},
		{"hard link to a lower file, twice", tarOf(hardlink("m", "f"), hardlink("k", "/f")), with("f", "f=f #3", "k=f #3", "m=f #3")},
		{"hard link to a lower group", tarOf(hardlink("m", "h2")), with("h1 h2", "h1=h #3", "h2=h #3", "m=h #3")},
		{"hard link in place of a lower file", tarOf(hardlink("f", "a/b")), with("f a/b", "f=ab #2", "a/b=ab #2")},
		{"hard link to a lower file with a whiteout", tarOf(hardlink("m", "f"), file(".wh.f", "")), with("f", "m=f")},
		{"hard link to nothing", tarOf(hardlink("m", "none")), all},
		{"hard link to nothing leaves what is there", tarOf(hardlink("f", "none")), all},
		{"hard link to a directory", tarOf(dir("d"), hardlink("m", "d")), with("", "d/")},
		{"hard link to a lower directory", tarOf(hardlink("m", "a")), all},
		{"hard link out of the tree", tarOf(hardlink("m", "../../etc/shadow")), all},
		{"hard link keeps a file that is replaced", tarOf(file("n", "1"), hardlink("m", "n"), file("n", "2")), with("", "m=1", "n=2")},
		{"hard link through a symbolic link", tarOf(dir("d"), file("d/n", "new"), symlink("s", "d"), hardlink("m", "s/n")), with("", "d/", "d/n=new #2", "m=new #2", "s -> d")},

		{"file through a relative link", tarOf(dir("d"), symlink("s", "d"), file("s/n", "new")), with("", "d/", "d/n=new", "s -> d")},
		{"file through an absolute link", tarOf(dir("d"), symlink("s", "/d"), file("s/n", "new")), with("", "d/", "d/n=new", "s -> /d")},
		{"file through a link out of the tree", tarOf(symlink("s", "../../../d"), file("s/n", "new")), with("", "d/", "d/n=new", "s -> ../../../d")},
		{"file through a link with dots", tarOf(dir("d"), dir("d/e"), symlink("d/e/s", "../.././d"), file("d/e/s/n", "new")), with("", "d/", "d/e/", "d/e/s -> ../.././d", "d/n=new")},
		{"file through a link that leads nowhere", tarOf(symlink("s", "new/place"), file("s/n", "new")), with("", "new/", "new/place/", "new/place/n=new", "s -> new/place")},
		{"file through links in a circle", tarOf(symlink("s", "r"), symlink("r", "s"), file("s/n", "new")), with("", "s -> r", "r -> s")},
		{"file through a lower link", tarOf(file("lib/y", "y")), with("lib", "lib/", "lib/y=y")},
		{"whiteout through a link", tarOf(symlink("s", "a"), file("s/.wh.b", "")), with("a/b", "s -> a")},
		{"child under a file of the layer", tarOf(file("n", "1"), file("n/m", "2")), with("", "n=1")},
		{"symbolic link to nothing", tarOf(ent{typ: '2', name: "s"}), all},

		{"directory replaced by a file", tarOf(dir("d"), file("d/x", "1"), file("d", "2")), with("", "d=2")},
		{"file replaced by a directory", tarOf(file("d", "1"), dir("d"), file("d/x", "2")), with("", "d/", "d/x=2")},
		{"devices", tarOf(ent{typ: '3', name: "null", major: 1, minor: 3}, ent{typ: '4', name: "sda", major: 8}, ent{typ: '6', name: "fifo"}), with("", "null char 1:3", "sda block 8:0", "fifo fifo")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			base, top := roundTrip(t, lower), roundTrip(t, tc.layer)
			text := func(h Hash) string {
				if s := top.sink.text(h); !strings.HasPrefix(s, "MISSING") {
					return s
				}
				return base.sink.text(h)
			}
			x := mergeLayers(t, base.index, top.index)
			if diff := sameSet(list(x, text), tc.want); diff != "" {
				t.Errorf("%s\nwarnings: %q", diff, top.Warnings)
			}
			checkLinks(t, x)
		})
	}
}

// checkLinks compares Links with the names that a walk finds.
func checkLinks(t *testing.T, x *Index) {
	t.Helper()
	names := map[Ino]int{}
	for d := range Ino(x.Len()) {
		for k := range x.Children(d) {
			_, i := x.Child(d, k)
			names[i]++
		}
	}
	for i, n := range names {
		links := x.Links(i)
		if x.Attr(i).IsDir() || n == 1 {
			n = 0
		}
		if len(links) != n {
			t.Errorf("inode %d: Links %v, want %d", i, links, n)
		}
		for _, l := range links {
			if j, ok := x.Lookup(l.Dir, l.Name); !ok || j != i {
				t.Errorf("inode %d: link %v leads to %d", i, l, j)
			}
		}
	}
}

// A whiteout may be longer than a name, since it is none: it hides the longest.
func TestLongestWhiteout(t *testing.T) {
	long := repeat("n", 255)
	named := func(path string) ent { return ent{name: "cut", pax: []string{"path=" + path}} }
	lower := roundTrip(t, tarOf(named(long), named("kept")))
	upper := roundTrip(t, tarOf(named(".wh."+long), named(".wh."+long+"/x"), named(".wh."+long+"n")))
	x := mergeLayers(t, lower.index, upper.index)
	if diff := sameLines(list(x, upper.sink.text), "kept="); diff != "" {
		t.Error(diff)
	}
	if len(upper.Warnings) != 2 {
		t.Errorf("warnings: %q", upper.Warnings)
	}
}

func TestImpliedDirectories(t *testing.T) {
	lower := roundTrip(t, tarOf(ent{typ: '5', name: "a", mode: 0o2711, uid: 7, gid: 8, mtime: 99, pax: []string{"SCHILY.xattr.user.x=1"}}))
	upper := roundTrip(t, tarOf(file("a/f", "1"), file("b/f", "2")))
	x := mergeLayers(t, lower.index, upper.index)
	a, _ := x.Lookup(Root, "a")
	want := Attr{Mode: ModeDir | 0o2711, UID: 7, GID: 8, Nlink: 2, Mtime: Time{Sec: 99}}
	if got := x.Attr(a); got != want {
		t.Errorf("a: %+v, want %+v", got, want)
	}
	if v, ok := x.Xattr(a, "user.x"); !ok || string(v) != "1" {
		t.Errorf("a: xattr %q", v)
	}
	b, _ := x.Lookup(Root, "b")
	if got := x.Attr(b); got != (Attr{Mode: ModeDir | 0o755, Nlink: 2}) {
		t.Errorf("b: %+v", got)
	}
}

func TestAttributes(t *testing.T) {
	s := roundTrip(t, tarOf(
		ent{typ: '5', name: "./", mode: 0o1777, uid: 1, gid: 2, mtime: 3},
		ent{name: "f", body: "12345", mode: 0o4755, uid: 3_000_000_000, gid: 4, mtime: -7,
			pax: []string{"mtime=-1.25", "SCHILY.xattr.user.empty=", "SCHILY.xattr.security.capability=\x01\x00\x00\x02=x", "SCHILY.xattr.user.a=b"}},
		ent{name: "g", mtime: 1 << 40, pax: []string{"mtime=123.123456789999"}},
	))
	x := mergeLayers(t, s.index)
	if got, want := x.Attr(Root), (Attr{Mode: ModeDir | 0o1777, UID: 1, GID: 2, Nlink: 2, Mtime: Time{Sec: 3}}); got != want {
		t.Errorf("root: %+v, want %+v", got, want)
	}
	f, _ := x.Lookup(Root, "f")
	if got, want := x.Attr(f), (Attr{Mode: ModeRegular | 0o4755, UID: 3_000_000_000, GID: 4, Nlink: 1, Size: 5, Mtime: Time{Sec: -2, Nsec: 750_000_000}}); got != want {
		t.Errorf("f: %+v, want %+v", got, want)
	}
	var set []string
	for _, a := range x.Xattrs(f) {
		set = append(set, a.Name+"="+string(a.Value))
	}
	if diff := sameLines(set, "security.capability=\x01\x00\x00\x02=x", "user.a=b", "user.empty="); diff != "" {
		t.Error(diff)
	}
	g, _ := x.Lookup(Root, "g")
	if got := x.Attr(g).Mtime; got != (Time{Sec: 123, Nsec: 123456789}) {
		t.Errorf("g: mtime %+v", got)
	}
	if x.HasXattrs(g) || !x.HasXattrs(f) {
		t.Error("HasXattrs")
	}
}

// The header of a hard link says nothing about the file: the first one does, as
// for umoci, even where the link comes before it.
func TestHardLinkHeaderMeansNothing(t *testing.T) {
	f := ent{name: "f", body: "1", mode: 0o640, uid: 1, gid: 2, mtime: 3, pax: []string{"SCHILY.xattr.user.a=b"}}
	l := ent{typ: '1', name: "l", link: "f", mode: 0o777, uid: 7, gid: 8, mtime: 9, pax: []string{"SCHILY.xattr.user.a=c", "SCHILY.xattr.user.d=e"}}
	for _, order := range [][]ent{{f, l}, {l, f}} {
		x := mergeLayers(t, roundTrip(t, tarOf(order...)).index)
		i, _ := x.Lookup(Root, "l")
		want := Attr{Mode: ModeRegular | 0o640, UID: 1, GID: 2, Nlink: 2, Size: 1, Mtime: Time{Sec: 3}}
		if got := x.Attr(i); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if set := x.Xattrs(i); len(set) != 1 || string(set[0].Value) != "b" {
			t.Errorf("xattrs: %q", set)
		}
	}
}
