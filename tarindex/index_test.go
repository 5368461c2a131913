package tarindex

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// sample is a merged index with something of everything, and its file's bytes.
func sample(t testing.TB) []byte {
	t.Helper()
	lower := roundTrip(t, tarOf(
		dir("etc"), ent{name: "etc/passwd", body: "root", mode: 0o640, uid: 1, gid: 42, mtime: 1e9},
		dir("bin"), file("bin/sh", "#!"), hardlink("bin/bash", "bin/sh"), symlink("sh", "bin/sh"),
		ent{typ: '3', name: "null", major: 1, minor: 3},
		ent{name: "x", body: "y", pax: []string{"SCHILY.xattr.user.a=1", "SCHILY.xattr.user.b=2"}}))
	upper := roundTrip(t, tarOf(file("etc/.wh.none", ""), hardlink("again", "bin/sh"), hardlink("dangling", "none"), file("var/lib/f", "f")))
	var out bytes.Buffer
	var base bytes.Buffer
	if err := Merge(nil, lower.index, &base); err != nil {
		t.Fatal(err)
	}
	parent, err := Parse(base.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := Merge(parent, upper.index, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestNumbering(t *testing.T) {
	x, err := Parse(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	// Breadth first, names sorted, a group at its first name: "again" is 1, so
	// bin/bash and bin/sh are 1 too.
	want := []string{"again 1", "bin 2", "etc 3", "null 4", "sh 5", "var 6", "x 7", "bash 1", "sh 1", "passwd 8", "lib 9", "f 10"}
	var got []string
	for d := range Ino(x.Len()) {
		for k := range x.Children(d) {
			name, i := x.Child(d, k)
			got = append(got, fmt.Sprint(name, " ", i))
		}
	}
	if diff := sameLines(got, want...); diff != "" {
		t.Error(diff)
	}
	if a := x.Attr(1); a.Nlink != 3 || a.Size != 2 {
		t.Errorf("group: %+v", a)
	}
	if got, want := x.Links(1), []Link{{Root, "again"}, {2, "bash"}, {2, "sh"}}; !slices.Equal(got, want) {
		t.Errorf("links: %v, want %v", got, want)
	}
	if got := x.Attr(Root).Nlink; got != 5 {
		t.Errorf("the root has %d links, want 5", got)
	}
	if got := x.Path(9); got != "/var/lib" || x.Parent(9) != 6 || x.Path(Root) != "/" || x.Parent(Root) != Root {
		t.Errorf("path %q, parent %d", got, x.Parent(9))
	}
	var links []string
	for p, target := range x.Unresolved() {
		links = append(links, p+" "+target)
	}
	if diff := sameLines(links, "/dangling none"); diff != "" {
		t.Error(diff)
	}
}

func TestOpen(t *testing.T) {
	good := sample(t)
	file := filepath.Join(t.TempDir(), "index")
	open := func(data []byte) (*Index, error) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return Open(file)
	}
	x, err := open(good)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Verify(); err != nil {
		t.Error(err)
	}
	if i, ok := x.Lookup(Root, "etc"); !ok || x.Path(i) != "/etc" {
		t.Error("no /etc")
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
	if err := x.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	newer := bytes.Clone(good)
	newer[8] = 2
	for name, tc := range map[string]struct {
		data []byte
		want error
	}{
		"empty":       {nil, ErrFormat},
		"other":       {bytes.Repeat([]byte("no index "), 100), ErrFormat},
		"newer":       {newer, ErrFormat},
		"cut off":     {good[:len(good)-1], ErrCorrupt},
		"header only": {good[:headerSize], ErrCorrupt},
		"too long":    {append(bytes.Clone(good), 0), ErrCorrupt},
	} {
		if _, err := open(tc.data); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if _, err := Open(file + "-none"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestEmpty(t *testing.T) {
	x := Empty()
	if err := x.Verify(); err != nil {
		t.Error(err)
	}
	if a := x.Attr(Root); a != (Attr{Mode: ModeDir | 0o755, Nlink: 2}) || x.Len() != 1 || x.Children(Root) != 0 {
		t.Errorf("%+v", a)
	}
	if _, ok := x.Lookup(Root, "a"); ok {
		t.Error("found a name")
	}
	if _, ok := x.Lookup(7, "a"); ok {
		t.Error("found a name where there is no directory")
	}
}

// Lookup finds all names when the hash table is of no use: every slot in reach
// taken by others.
func TestLookupWithoutTable(t *testing.T) {
	data := sample(t)
	x, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	for i := range x.table {
		x.table[i] = 0xff
	}
	for d := range Ino(x.Len()) {
		for k := range x.Children(d) {
			name, want := x.Child(d, k)
			if i, ok := x.Lookup(d, name); !ok || i != want {
				t.Errorf("%q in %d: %d, want %d", name, d, i, want)
			}
			if _, ok := x.Lookup(d, name+"!"); ok {
				t.Errorf("found %q", name+"!")
			}
		}
	}
}

// use calls everything that reads an index: on a damaged one nothing may panic
// or run for ever.
func use(x *Index) {
	for i := range Ino(x.Len() + 2) {
		x.Attr(i)
		x.Content(i)
		x.Readlink(i)
		x.Links(i)
		x.Xattrs(i)
		x.HasXattrs(i)
		x.Xattr(i, "user.a")
		x.Path(i)
		x.Parent(i)
		x.Opaque(i)
		x.Lookup(i, "etc")
		for k := range min(x.Children(i), 100) {
			name, _ := x.Child(i, k)
			x.Lookup(i, name)
		}
		x.Child(i, -1)
		x.Child(i, x.Children(i))
		for range x.Whiteouts(i) {
		}
		for range x.ForeignLinks(i) {
		}
	}
	for range x.Contents() {
	}
	for range x.Unresolved() {
	}
}

// Every flipped bit is found by Verify, and hurts nobody who does not verify.
func TestDamage(t *testing.T) {
	good := sample(t)
	merge := func(x *Index) {
		var out bytes.Buffer
		if Merge(nil, x, &out) == nil {
			if _, err := Parse(out.Bytes()); err != nil {
				t.Errorf("merged: %v", err)
			}
		}
		Merge(x, x, &out)
	}
	for i := range good {
		data := bytes.Clone(good)
		data[i] ^= 1 << (i % 8)
		x, err := Parse(data)
		if err != nil {
			continue
		}
		if err := x.Verify(); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d: %v", i, err)
		}
		use(x)
		merge(x)
		// With the right checksum, Verify must find it by itself or it must
		// be a change that another layer could have.
		x, err = Parse(reseal(data))
		if err == nil && x.Verify() == nil {
			var out bytes.Buffer
			if err := Merge(nil, x, &out); err != nil {
				t.Errorf("byte %d: verified and then %v", i, err)
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		data := bytes.Clone(good)
		for range 1 + r.IntN(20) {
			data[headerSize+r.IntN(len(data)-headerSize)] = byte(r.Uint32())
		}
		if x, err := Parse(data); err == nil {
			use(x)
			merge(x)
			x.Verify()
		}
		if x, err := Parse(reseal(data)); err == nil {
			x.Verify()
		}
	}
}

// No method that a file system calls for every request allocates.
func TestNoAllocations(t *testing.T) {
	x, err := Parse(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	etc, _ := x.Lookup(Root, "etc")
	sh, _ := x.Lookup(Root, "sh")
	n := testing.AllocsPerRun(100, func() {
		x.Attr(etc)
		x.Lookup(etc, "passwd")
		x.Lookup(etc, "none")
		x.Child(Root, x.Children(Root)-1)
		x.Content(8)
		x.Readlink(sh)
		x.Parent(etc)
		x.Xattr(7, "user.b")
		x.HasXattrs(7)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestHash(t *testing.T) {
	const s = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	h, err := ParseHash(s)
	if err != nil || h.String() != s {
		t.Errorf("%v, %v", h, err)
	}
	for _, bad := range []string{"", s[1:], s + "0", "g" + s[1:]} {
		if _, err := ParseHash(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
