package unionfs

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// group is a lower with one file under three names in three directories.
func group() []lowerEntry {
	return []lowerEntry{
		dir("a"), file("a/one", "shared content"),
		dir("b"), link("b/two", "a/one"),
		dir("c"), dir("c/d"), link("c/d/three", "a/one"),
		file("alone", "x"),
	}
}

func (u *union) checkGroup(content string, names ...string) {
	u.t.Helper()
	ino := u.attr(names[0]).Ino
	for _, p := range names {
		if a := u.attr(p); a.Ino != ino || int(a.Nlink) != len(names) {
			u.t.Errorf("%s: ino %d nlink %d, want %d and %d", p, a.Ino, a.Nlink, ino, len(names))
		}
		if got := u.read(p); got != content {
			u.t.Errorf("%s: content %q, want %q", p, got, content)
		}
	}
}

func TestGroupCopiesUpAsOne(t *testing.T) {
	for name, change := range map[string]func(u *union) error{
		"write":  func(u *union) error { return u.pwrite("/b/two", "SHARED", 0) },
		"chmod":  func(u *union) error { return u.chmod("/c/d/three", 0o600) },
		"rename": func(u *union) error { return u.rename("/a/one", "/a/uno", 0) },
		"link":   func(u *union) error { return u.link("/a/one", "/b/uno") },
	} {
		t.Run(name, func(t *testing.T) {
			u := newUnion(t, group()...)
			ino := u.attr("/a/one").Ino
			u.ok(change(u))
			content, names := "shared content", []string{"/a/one", "/b/two", "/c/d/three"}
			switch name {
			case "write":
				content = "SHARED content"
			case "rename":
				names[0] = "/a/uno"
			case "link":
				names = append(names, "/b/uno")
			}
			u.checkGroup(content, names...)
			u.settle()
			u.checkGroup(content, names...)
			if got := u.attr(names[0]).Ino; got != ino {
				t.Errorf("ino %d, was %d", got, ino)
			}
			u.ok(u.pwrite(names[1], "again", 0))
			u.settle()
			u.checkGroup("again"+content[5:], names...)
		})
	}
}

func TestGroupLosesNames(t *testing.T) {
	u := newUnion(t, group()...)
	u.ok(u.unlink("/b/two"))
	u.checkGroup("shared content", "/a/one", "/c/d/three")
	u.settle()
	u.checkGroup("shared content", "/a/one", "/c/d/three")
	u.ok(u.pwrite("/a/one", "S", 0))
	u.settle()
	u.checkGroup("Shared content", "/a/one", "/c/d/three")
	u.ok(u.link("/a/one", "/b/two"))
	u.settle()
	u.checkGroup("Shared content", "/a/one", "/b/two", "/c/d/three")
	u.ok(u.unlink("/a/one"))
	u.ok(u.unlink("/c/d/three"))
	u.settle()
	u.checkGroup("Shared content", "/b/two")
}

func TestGroupGoneAsLower(t *testing.T) {
	u := newUnion(t, group()...)
	id := u.id("/a/one")
	for _, p := range []string{"/a/one", "/b/two", "/c/d/three"} {
		u.ok(u.unlink(p))
	}
	if a, err := u.Getattr(id); err != nil || a.Nlink != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	if got := u.content(id); got != "shared content" {
		t.Errorf("content %q", got)
	}
	u.settle()
}

// The names are in directories that have been renamed or removed.
func TestGroupInMovedDirectories(t *testing.T) {
	u := newUnion(t, group()...)
	u.ok(u.rename("/c", "/z", 0))
	u.checkGroup("shared content", "/a/one", "/b/two", "/z/d/three")
	u.remount()
	// Nothing below /z has been looked at in this mount.
	if a := u.attr("/a/one"); a.Nlink != 3 {
		t.Errorf("nlink %d, want 3", a.Nlink)
	}
	u.remount()
	u.ok(u.pwrite("/a/one", "S", 0))
	u.checkGroup("Shared content", "/a/one", "/b/two", "/z/d/three")
	u.settle()
	u.checkGroup("Shared content", "/a/one", "/b/two", "/z/d/three")

	u = newUnion(t, group()...)
	u.ok(u.rename("/c/d", "/b/d", 0))
	u.ok(u.rmdir("/c"))
	u.remount()
	if a := u.attr("/a/one"); a.Nlink != 3 {
		t.Errorf("nlink %d, want 3", a.Nlink)
	}
	u.ok(u.rename("/b", "/y", 0))
	u.ok(u.unlink("/a/one"))
	u.ok(u.rmdir("/a"))
	u.remount()
	u.checkGroup("shared content", "/y/two", "/y/d/three")
	u.remount()
	u.ok(u.chmod("/y/d/three", 0o600))
	u.settle()
	u.checkGroup("shared content", "/y/two", "/y/d/three")
}

func TestLink(t *testing.T) {
	u := newUnion(t, sample()...)
	u.put("/new", "n")
	u.ok(u.link("/new", "/etc/new"))
	u.ok(u.link("/etc/hosts", "/usr/hosts"))
	u.ok(u.link("/etc/link", "/usr/link"))
	u.ok(u.link("/dev/null", "/usr/null"))
	u.ok(u.unlink("/etc/empty"))
	u.ok(u.link("/etc/hosts", "/etc/empty")) // over a whiteout
	u.settle()
	u.checkGroup("n", "/new", "/etc/new")
	u.checkGroup("127.0.0.1 localhost\n", "/etc/hosts", "/usr/hosts", "/etc/empty")
	for _, p := range []string{"/etc/link", "/usr/link", "/dev/null", "/usr/null"} {
		if n := u.attr(p).Nlink; n != 2 {
			t.Errorf("%s: nlink %d", p, n)
		}
	}
	u.fails(syscall.EPERM, u.link("/etc", "/usr/etc"))
	u.fails(syscall.EEXIST, u.link("/new", "/etc/hosts"))
	u.ok(u.unlink("/new"))
	u.remount()
	id := u.id("/etc/new")
	u.ok(u.unlink("/etc/new"))
	if got := u.content(id); got != "n" {
		t.Errorf("content %q", got)
	}
}

// One of two names is removed while the directory of the other has not been
// looked at in this mount.
func TestUnlinkWithUnknownName(t *testing.T) {
	u := newUnion(t, group()...)
	u.put("/a/new", "n")
	u.ok(u.link("/a/new", "/b/new"))
	u.ok(u.chmod("/a/one", 0o600))
	u.remount()
	id, group := u.id("/a/new"), u.id("/a/one")
	u.ok(u.unlink("/a/new"))
	u.ok(u.unlink("/a/one"))
	if a, err := u.Getattr(id); err != nil || a.Nlink != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := u.Getattr(group); err != nil || a.Nlink != 2 {
		t.Errorf("%+v, %v", a, err)
	}
	if u.id("/b/new") != id || u.id("/b/two") != group {
		t.Error("another id under the other name")
	}
	u.Forget(id, uint64(u.ref(id, 0)))
	u.put("/b/new", "m")
	u.settle()
	u.checkGroup("m", "/b/new")
	u.checkGroup("shared content", "/b/two", "/c/d/three")
}

// A group whose copy-up was cut off after any of its steps.
func TestGroupIsFinishedAfterACrash(t *testing.T) {
	for done := range 4 {
		u := newUnion(t, group()...)
		tmp, _, err := u.stub(u.lowerOf("/a/one"))
		u.ok(err)
		name := groupPrefix + string(formatOrigin(u.lowerOf("/a/one")))
		u.ok(os.Rename(u.o.Work+"/"+tmp, u.o.Work+"/"+name))
		links := u.lowerNames(u.lowerOf("/a/one"))
		for _, l := range links[:done] {
			u.ok(u.linkGroup(name, l))
		}
		u.remount()
		u.checkGroup("shared content", "/a/one", "/b/two", "/c/d/three")
		if got := len(u.upperFiles()); got != 7 {
			t.Errorf("after %d names: %d files in the upper: %v", done, got, u.upperFiles())
		}
		u.settle()
	}
}

func TestRenameWithinGroup(t *testing.T) {
	u := newUnion(t, group()...)
	u.ok(u.rename("/a/one", "/b/two", 0)) // POSIX: the same file, nothing happens
	u.checkGroup("shared content", "/a/one", "/b/two", "/c/d/three")
	u.ok(u.rename("/alone", "/b/two", 0))
	u.settle()
	u.checkGroup("shared content", "/a/one", "/c/d/three")
	u.checkGroup("x", "/b/two")
	u.ok(u.rename("/a/one", "/b/two", unix.RENAME_EXCHANGE))
	u.settle()
	u.checkGroup("shared content", "/b/two", "/c/d/three")
	if strings.Contains(u.tree()["/a/one"], "nlink 2") {
		t.Error("/a/one has two links")
	}
}
