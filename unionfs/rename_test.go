package unionfs

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

func (u *union) lowerOf(p string) (i tarindex.Ino) {
	o, err := u.object(u.id(p))
	u.ok(err)
	i, _ = o.lowerPart()
	return i
}

// moved compares the tree with what it was before: all below old is now below
// new, and nothing else is different but the times of the two parents.
func (u *union) moved(before map[string]string, old, name string) {
	u.t.Helper()
	want := make(map[string]string)
	for p, line := range before {
		if p == name || strings.HasPrefix(p, name+"/") {
			continue
		}
		if p == old || strings.HasPrefix(p, old+"/") {
			p = name + p[len(old):]
		}
		want[p] = line
	}
	got := u.settle()
	strip := func(m map[string]string) {
		for p, line := range m { // times and nlink of directories differ rightly
			if strings.HasPrefix(line, "04") {
				m[p] = line[:strings.Index(line, " nlink")]
			}
		}
	}
	strip(want)
	strip(got)
	diffTrees(u.t, "want", want, "got", got)
}

func TestRename(t *testing.T) {
	for _, c := range []struct {
		name, from, to string
		prepare        func(u *union)
	}{
		{"lower file", "/etc/hosts", "/etc/hosts2", nil},
		{"lower file to other directory", "/etc/hosts", "/usr/bin/hosts", nil},
		{"lower file over lower file", "/etc/hosts", "/etc/shadow", nil},
		{"lower file over whiteout", "/etc/hosts", "/etc/shadow", func(u *union) { u.ok(u.unlink("/etc/shadow")) }},
		{"lower file over upper file", "/etc/hosts", "/etc/new", func(u *union) { u.put("/etc/new", "x") }},
		{"lower file over copied-up file", "/etc/hosts", "/etc/shadow", func(u *union) { u.put("/etc/shadow", "x") }},
		{"upper file", "/etc/new", "/etc/new2", func(u *union) { u.put("/etc/new", "x") }},
		{"upper file over lower file", "/etc/new", "/etc/hosts", func(u *union) { u.put("/etc/new", "x") }},
		{"upper file over whiteout", "/etc/new", "/etc/hosts", func(u *union) { u.put("/etc/new", "x"); u.ok(u.unlink("/etc/hosts")) }},
		{"copied-up file over lower file", "/etc/hosts", "/etc/shadow", func(u *union) { u.ok(u.pwrite("/etc/hosts", "x", 0)) }},
		{"lower symlink", "/etc/link", "/etc/link2", nil},
		{"lower device", "/dev/sda", "/etc/sda", nil},
		{"lower directory", "/tree", "/forest", nil},
		{"lower directory into another", "/tree/a", "/usr/lib/a", nil},
		{"lower directory over empty lower directory", "/tree/a", "/empty", nil},
		{"merged directory", "/tree/a", "/tree/z", func(u *union) { u.put("/tree/a/new", "x"); u.ok(u.unlink("/tree/a/file")) }},
		{"lower directory over whiteout", "/tree/a", "/empty", func(u *union) { u.ok(u.rmdir("/empty")) }},
		{"lower directory over whiteout of a file", "/tree", "/etc/hosts", func(u *union) { u.ok(u.unlink("/etc/hosts")) }},
		{"lower directory over emptied merged directory", "/tree", "/usr/lib", func(u *union) { u.ok(u.unlink("/usr/lib/perl")) }},
		{"lower directory over new directory", "/tree", "/new", func(u *union) { u.ok(u.mkdir("/new")) }},
		{"new directory", "/new", "/new2", func(u *union) { u.ok(u.mkdir("/new")); u.put("/new/x", "x") }},
		{"new directory over empty lower", "/new", "/empty", func(u *union) { u.ok(u.mkdir("/new")); u.put("/new/x", "x") }},
		{"new directory over whiteout of a full one", "/new", "/usr/lib", func(u *union) {
			u.ok(u.unlink("/usr/lib/perl"))
			u.ok(u.rmdir("/usr/lib"))
			u.ok(u.mkdir("/new"))
		}},
		{"recreated directory", "/usr/lib", "/lib", func(u *union) {
			u.ok(u.unlink("/usr/lib/perl"))
			u.ok(u.rmdir("/usr/lib"))
			u.ok(u.mkdir("/usr/lib"))
			u.put("/usr/lib/x", "x")
		}},
		{"new directory over emptied merged directory", "/new", "/usr/lib", func(u *union) {
			u.ok(u.unlink("/usr/lib/perl"))
			u.ok(u.mkdir("/new"))
		}},
		{"directory with renamed directory in it", "/tree", "/forest", func(u *union) { u.ok(u.rename("/tree/a", "/tree/z", 0)) }},
		{"renamed directory out of a renamed one", "/forest/a", "/a", func(u *union) { u.ok(u.rename("/tree", "/forest", 0)) }},
		{"back to its place", "/forest", "/tree", func(u *union) { u.ok(u.rename("/tree", "/forest", 0)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, early := range []bool{false, true} { // whether preparations were in an earlier mount
				u := newUnion(t, sample()...)
				if c.prepare != nil {
					c.prepare(u)
				}
				if early {
					u.remount()
				}
				before := u.tree()
				id := u.id(c.from)
				u.ok(u.rename(c.from, c.to, 0))
				if u.id(c.to) != id {
					t.Error("another id")
				}
				_, err := u.find(c.from)
				u.fails(syscall.ENOENT, err)
				u.moved(before, c.from, c.to)
				for p, kind := range u.upperFiles() {
					if kind == "w" && !early && !u.isLower(p) {
						t.Errorf("whiteout %s hides nothing", p)
					}
				}
			}
		})
	}
}

// isLower reports whether the lower has something that the upper path hides.
func (u *union) isLower(p string) bool {
	if _, ok := u.find(p); ok == nil {
		return false
	}
	d, name := u.up(p)
	o, err := u.object(d)
	u.ok(err)
	low, ok := o.lowerPart()
	if !ok {
		return false
	}
	_, ok = u.lower.Lookup(low, name)
	return ok
}

func TestRenameExchange(t *testing.T) {
	paths := map[string]func(u *union) string{
		"lower file":       func(u *union) string { return "/etc/hosts" },
		"lower directory":  func(u *union) string { return "/tree/a" },
		"lower symlink":    func(u *union) string { return "/etc/link" },
		"upper file":       func(u *union) string { u.put("/new", "new"); return "/new" },
		"upper directory":  func(u *union) string { u.ok(u.mkdir("/dir")); u.put("/dir/x", "x"); return "/dir" },
		"merged directory": func(u *union) string { u.put("/usr/bin/new", "new"); return "/usr/bin" },
		"recreated": func(u *union) string {
			u.ok(u.rmdir("/empty"))
			u.ok(u.mkdir("/empty"))
			u.put("/empty/x", "1")
			return "/empty"
		},
	}
	for aName, aPath := range paths {
		for bName, bPath := range paths {
			if aName >= bName {
				continue
			}
			t.Run(aName+" and "+bName, func(t *testing.T) {
				u := newUnion(t, sample()...)
				a, b := aPath(u), bPath(u)
				aTree, bTree := u.below(a), u.below(b)
				u.ok(u.rename(a, b, unix.RENAME_EXCHANGE))
				u.settle()
				diffTrees(t, "want", aTree, "got", u.below(b))
				diffTrees(t, "want", bTree, "got", u.below(a))
			})
		}
	}
}

// below is the part of tree below p, with paths from there.
func (u *union) below(p string) map[string]string {
	m := make(map[string]string)
	for q, line := range u.tree() {
		if q == p || strings.HasPrefix(q, p+"/") {
			m[q[len(p):]] = line
		}
	}
	return m
}

func TestRenameRefuses(t *testing.T) {
	u := newUnion(t, sample()...)
	u.ok(u.mkdir("/new"))
	for _, c := range []struct {
		from, to string
		flags    uint32
		want     syscall.Errno
	}{
		{"/etc/hosts", "/etc/shadow", unix.RENAME_NOREPLACE, syscall.EEXIST},
		{"/etc/hosts", "/etc/missing", unix.RENAME_EXCHANGE, syscall.ENOENT},
		{"/etc/missing", "/x", 0, syscall.ENOENT},
		{"/etc/hosts", "/x", unix.RENAME_WHITEOUT, syscall.EINVAL},
		{"/etc/hosts", "/x", unix.RENAME_EXCHANGE | unix.RENAME_NOREPLACE, syscall.EINVAL},
		{"/etc/hosts", "/empty", 0, syscall.EISDIR},
		{"/empty", "/etc/hosts", 0, syscall.ENOTDIR},
		{"/empty", "/etc", 0, syscall.ENOTEMPTY},
		{"/tree", "/tree/a/b/c", 0, syscall.EINVAL},
		{"/tree/a", "/tree", 0, syscall.ENOTEMPTY},
		{"/tree", "/tree/a", unix.RENAME_EXCHANGE, syscall.EINVAL},
		{"/tree/a", "/tree", unix.RENAME_EXCHANGE, syscall.EINVAL},
	} {
		t.Run(fmt.Sprint(c.from, " ", c.to, " ", c.flags), func(t *testing.T) {
			u.fails(c.want, u.rename(c.from, c.to, c.flags))
		})
	}
	u.ok(u.rename("/etc/hosts", "/etc/x", unix.RENAME_NOREPLACE))
	u.ok(u.rename("/etc/x", "/etc/hosts", unix.RENAME_NOREPLACE)) // onto a whiteout
	u.settle()
}

// The path of a lower directory can be longer than overlayfs lets a redirect be.
func TestRenameOfDeepDirectory(t *testing.T) {
	var entries []lowerEntry
	p := ""
	for range 5 {
		p += strings.Repeat("d", 100)
		entries = append(entries, dir(p))
		p += "/"
	}
	entries = append(entries, file(p+"file", "deep down"))
	u := newUnion(t, entries...)
	u.ok(u.rename("/"+strings.TrimSuffix(p, "/"), "/short", 0))
	u.settle()
	if got := u.read("/short/file"); got != "deep down" {
		t.Errorf("content %q", got)
	}
}

func TestRenameReplacedStaysUsable(t *testing.T) {
	u := newUnion(t, sample()...)
	id := u.id("/etc/hosts")
	u.ok(u.rename("/etc/shadow", "/etc/hosts", 0))
	if a, err := u.Getattr(id); err != nil || a.Nlink != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	if got := u.content(id); got != "127.0.0.1 localhost\n" {
		t.Errorf("content %q", got)
	}
	empty := u.id("/empty")
	u.ok(u.rename("/tree", "/empty", 0))
	if a, err := u.Getattr(empty); err != nil || a.Nlink != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	_, err := u.Mkdir(u.cred, empty, "x", 0o755)
	u.fails(syscall.ENOENT, err)
	if got := u.list("/empty"); !slices.Equal(got, []string{"a"}) {
		t.Errorf("list %v", got)
	}
	u.settle()
}
