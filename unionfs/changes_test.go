package unionfs

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// changeSample has, besides one of everything, what the cases below change.
func changeSample() []lowerEntry {
	return append(sample(),
		file("tree/hosts", "127.0.0.1 localhost\n"),
		dir("groups"), dir("groups/x"), dir("groups/y"),
		file("groups/x/1", "one"), link("groups/x/2", "groups/x/1"), link("groups/y/3", "groups/x/1"),
		file("groups/lone", "one"), dir("other"), file("other/3", "three"),
		file("other/long", "127.0.0.1 localhost\nand more\n"),
		file("caf\xe9", "latin 1"), file(longName, "long"),
	)
}

// changeCases are the kinds of changes, and what is to be listed of each:
// directories whose names have changed, too, for their times have.
var changeCases = []struct {
	name string
	do   func(u *union)
	want string
}{
	{"nothing", func(u *union) {}, ``},
	{"read", func(u *union) { u.read("/etc/hosts"); u.list("/tree/a") }, ``},
	{"copied up as it was", func(u *union) {
		u.ok(u.chmod("/etc/hosts", 0o600))
		u.ok(u.chmod("/etc/hosts", 0o644))
		u.ok(u.chown("/usr/lib/perl", 7, 7))
		u.ok(u.chown("/usr/lib/perl", 0, 0))
	}, ``},
	{"written as it was", func(u *union) {
		u.put("/etc/hosts", "127.0.0.1 localhost\n")
		u.setTime("/etc/hosts")
	}, ``},
	{"new file", func(u *union) { u.put("/etc/new", "x") }, `C /etc, A /etc/new`},
	{"new tree", func(u *union) {
		u.ok(u.mkdir("/etc/d"))
		u.ok(u.mkdir("/etc/d/e"))
		u.ok(u.symlink("x", "/etc/d/e/l"))
	}, `C /etc, A /etc/d, A /etc/d/e, A /etc/d/e/l`},
	{"in a directory that keeps its time", func(u *union) {
		u.put("/tree/a/b/new", "x")
		u.setTime("/tree/a/b")
	}, `A /tree/a/b/new`},
	{"removed file", func(u *union) { u.ok(u.unlink("/etc/hosts")) }, `C /etc, D /etc/hosts`},
	{"removed and made again", func(u *union) {
		u.ok(u.unlink("/etc/hosts"))
		u.put("/etc/hosts", "127.0.0.1 localhost\n")
		u.setTime("/etc/hosts")
		u.ok(u.chown("/etc/hosts", 0, 0))
		u.setTime("/etc")
	}, ``},
	{"removed tree", func(u *union) { u.removeAll("/tree") }, `C /, D /tree`},
	{"removed directory made again", func(u *union) {
		u.removeAll("/tree/a")
		u.ok(u.mkdir("/tree/a"))
		u.put("/tree/a/file", "other")
	}, `C /tree, C /tree/a, D /tree/a/b, C /tree/a/file`},
	{"removed directory made again, empty", func(u *union) { u.removeAll("/tree"); u.ok(u.mkdir("/tree")) }, `C /, C /tree, D /tree/a, D /tree/hosts`},
	{"other bytes, same size and time", func(u *union) {
		u.ok(u.pwrite("/etc/hosts", "128", 0))
		u.setTime("/etc/hosts")
	}, `C /etc/hosts`},
	{"truncated", func(u *union) { u.ok(u.truncate("/etc/hosts", 4)) }, `C /etc/hosts`},
	{"truncated, same time", func(u *union) { u.ok(u.truncate("/etc/hosts", 0)); u.setTime("/etc/hosts") }, `C /etc/hosts`},
	{"filled, same time", func(u *union) { u.ok(u.pwrite("/etc/empty", "x", 0)); u.setTime("/etc/empty") }, `C /etc/empty`},
	{"mode", func(u *union) { u.ok(u.chmod("/etc/hosts", 0o4755)) }, `C /etc/hosts`},
	{"owner", func(u *union) { u.ok(u.chown("/etc/link", 0, 5)) }, `C /etc/link`},
	{"owner of a program", func(u *union) { u.ok(u.chown("/usr/bin/su", 1, 1)) }, `C /usr/bin/su`},
	{"mode of a directory", func(u *union) { u.ok(u.chmod("/tree/a", 0o1777)) }, `C /tree/a`},
	{"mode of the root", func(u *union) { u.ok(u.chmod("/", 0o711)) }, `C /`},
	{"time", func(u *union) {
		_, err := u.Setattr(nil, u.id("/etc/hosts"), SetAttr{Valid: SetMtime, Mtime: Time{Sec: lowerTime.Unix(), Nsec: 1}})
		u.ok(err)
	}, `C /etc/hosts`},
	{"time before the epoch", func(u *union) {
		_, err := u.Setattr(nil, u.id("/etc/hosts"), SetAttr{Valid: SetMtime, Mtime: Time{Sec: -2, Nsec: 999_999_999}})
		u.ok(err)
	}, `C /etc/hosts`},
	{"access time", func(u *union) {
		_, err := u.Setattr(nil, u.id("/etc/hosts"), SetAttr{Valid: SetAtime, Atime: Time{Sec: 5}})
		u.ok(err)
	}, ``},
	{"xattr set", func(u *union) {
		u.ok(u.Setxattr(u.id("/etc/hosts"), "user.a", []byte("b\x00c\n"), 0, false))
		u.ok(u.Setxattr(u.id("/dev/null"), "trusted.t", nil, 0, false))
	}, `C /dev/null, C /etc/hosts`},
	{"xattr changed", func(u *union) { u.ok(u.Setxattr(u.id("/usr/bin/su"), "user.note", []byte("w"), 0, false)) }, `C /usr/bin/su`},
	{"xattr removed", func(u *union) { u.ok(u.Removexattr(u.id("/usr/bin/su"), "user.note")) }, `C /usr/bin/su`},
	{"xattr with a meaning", func(u *union) { u.ok(u.Setxattr(u.id("/etc"), "user.overlay.opaque", []byte("y"), 0, false)) }, `C /etc`},
	{"xattr and back", func(u *union) {
		u.ok(u.Setxattr(u.id("/etc/hosts"), "user.a", nil, 0, false))
		u.ok(u.Removexattr(u.id("/etc/hosts"), "user.a"))
	}, ``},
	{"devices", func(u *union) {
		u.ok(u.mknod("/dev/zero", unix.S_IFCHR|0o666, 1, 5))
		u.ok(u.mknod("/dev/vdz", unix.S_IFBLK|0o660, 259, 70000))
		u.ok(u.mknod("/dev/pipe", unix.S_IFIFO|0o600, 0, 0))
	}, `C /dev, A /dev/pipe, A /dev/vdz, A /dev/zero`},
	{"other device number", func(u *union) {
		u.ok(u.unlink("/dev/null"))
		u.ok(u.mknod("/dev/null", unix.S_IFCHR|0o640, 1, 5))
		u.ok(u.chown("/dev/null", 0, 0))
		u.setTime("/dev/null")
		u.setTime("/dev")
	}, `C /dev/null`},
	{"file to directory", func(u *union) {
		u.ok(u.unlink("/etc/hosts"))
		u.ok(u.mkdir("/etc/hosts"))
		u.put("/etc/hosts/x", "y")
	}, `C /etc, C /etc/hosts, A /etc/hosts/x`},
	{"directory to file", func(u *union) { u.removeAll("/tree/a"); u.put("/tree/a", "x") }, `C /tree, C /tree/a`},
	{"directory to symlink", func(u *union) { u.removeAll("/tree/a"); u.ok(u.symlink("../etc", "/tree/a")) }, `C /tree, C /tree/a`},
	{"symlink to directory", func(u *union) { u.ok(u.unlink("/etc/link")); u.ok(u.mkdir("/etc/link")) }, `C /etc, C /etc/link`},
	{"symlink to other target", func(u *union) { u.ok(u.unlink("/etc/link")); u.ok(u.symlink("guests", "/etc/link")) }, `C /etc, C /etc/link`},
	{"symlink to a target as long", func(u *union) {
		u.ok(u.unlink("/etc/link"))
		u.ok(u.symlink("guest", "/etc/link"))
		u.setTime("/etc/link")
		u.setTime("/etc")
	}, `C /etc/link`},
	{"file to fifo", func(u *union) { u.ok(u.unlink("/etc/hosts")); u.ok(u.mknod("/etc/hosts", unix.S_IFIFO|0o644, 0, 0)) }, `C /etc, C /etc/hosts`},
	{"names of no encoding", func(u *union) {
		u.put("/na\xefve\xff", "x")
		u.put("/new\nline \"'\\", "x")
		u.ok(u.unlink("/caf\xe9"))
		u.ok(u.unlink("/" + longName))
	}, "C /, D /caf\xe9, D /" + longName + ", A /na\xefve\xff, A /new\nline \"'\\"},

	{"renamed file", func(u *union) { u.ok(u.rename("/etc/hosts", "/tree/guests", 0)) }, `C /etc, D /etc/hosts, C /tree, A /tree/guests`},
	{"renamed over", func(u *union) { u.ok(u.rename("/etc/hosts", "/tree/a/file", 0)) }, `C /etc, D /etc/hosts, C /tree/a, C /tree/a/file`},
	{"renamed over its like", func(u *union) { u.ok(u.rename("/etc/hosts", "/tree/hosts", 0)) }, `C /etc, D /etc/hosts, C /tree`},
	{"shortened to what it replaces", func(u *union) {
		u.ok(u.truncate("/other/long", 20))
		u.setTime("/other/long")
		u.ok(u.rename("/other/long", "/etc/hosts", 0))
	}, `C /etc, C /other, D /other/long`},
	{"renamed directory", func(u *union) { u.ok(u.rename("/tree/a", "/etc/a", 0)) },
		`C /etc, A /etc/a, A /etc/a/b, A /etc/a/b/deep, A /etc/a/file, C /tree, D /tree/a`},
	{"renamed directory, changed inside", func(u *union) {
		u.ok(u.rename("/tree/a", "/z", 0))
		u.ok(u.unlink("/z/file"))
		u.put("/z/b/new", "x")
		u.ok(u.chmod("/z/b/deep", 0o400))
	}, `C /, C /tree, D /tree/a, A /z, A /z/b, A /z/b/deep, A /z/b/new`},
	{"renamed twice", func(u *union) {
		u.ok(u.rename("/tree", "/z", 0))
		u.ok(u.rename("/z/a", "/y", 0))
		u.ok(u.rename("/y/b", "/z/b", 0))
	}, `C /, D /tree, A /y, A /y/file, A /z, A /z/b, A /z/b/deep, A /z/hosts`},
	{"renamed and back", func(u *union) {
		u.ok(u.rename("/tree/a", "/z", 0))
		u.ok(u.rename("/z", "/tree/a", 0))
		u.setTime("/tree")
	}, `C /`},
	{"renamed over an empty directory", func(u *union) { u.ok(u.rename("/tree", "/empty", 0)) },
		`C /, A /empty/a, A /empty/a/b, A /empty/a/b/deep, A /empty/a/file, A /empty/hosts, D /tree`},
	{"exchanged directories", func(u *union) { u.ok(u.rename("/tree/a", "/empty", unix.RENAME_EXCHANGE)) },
		`C /, A /empty/b, A /empty/b/deep, A /empty/file, C /tree, D /tree/a/b, D /tree/a/file`},
	{"exchanged file and directory", func(u *union) { u.ok(u.rename("/tree/a", "/etc/hosts", unix.RENAME_EXCHANGE)) },
		`C /etc, C /etc/hosts, A /etc/hosts/b, A /etc/hosts/b/deep, A /etc/hosts/file, C /tree, C /tree/a`},
	{"a directory below its own old place", func(u *union) {
		u.ok(u.rename("/tree", "/z", 0))
		u.ok(u.mkdir("/tree"))
		u.ok(u.rename("/z", "/tree/tree", 0))
	}, `C /, C /tree, D /tree/a, D /tree/hosts, A /tree/tree, A /tree/tree/a, A /tree/tree/a/b, A /tree/tree/a/b/deep, A /tree/tree/a/file, A /tree/tree/hosts`},

	{"link to a lower file", func(u *union) { u.ok(u.link("/etc/hosts", "/tree/h")) }, `C /etc/hosts, C /tree, A /tree/h`},
	{"link to a new file", func(u *union) { u.put("/tree/h", "x"); u.ok(u.link("/tree/h", "/etc/h")) }, `C /etc, A /etc/h, C /tree, A /tree/h`},
	{"links to devices and symlinks", func(u *union) { u.ok(u.link("/dev/null", "/empty/null")); u.ok(u.link("/etc/link", "/empty/link")) },
		`C /dev/null, C /empty, A /empty/link, A /empty/null, C /etc/link`},
	{"group gains", func(u *union) { u.ok(u.link("/groups/x/2", "/groups/new")) },
		`C /groups, A /groups/new, C /groups/x/1, C /groups/x/2, C /groups/y/3`},
	{"group loses", func(u *union) { u.ok(u.unlink("/groups/x/2")) }, `C /groups/x, D /groups/x/2`},
	{"group loses all but one", func(u *union) { u.ok(u.unlink("/groups/x/2")); u.ok(u.unlink("/groups/x/1")) }, `C /groups/x, D /groups/x/1, D /groups/x/2`},
	{"group gone", func(u *union) { u.removeAll("/groups/x"); u.removeAll("/groups/y") }, `C /groups, D /groups/x, D /groups/y`},
	{"group written", func(u *union) { u.ok(u.pwrite("/groups/y/3", "x", 0)) }, `C /groups/x/1, C /groups/x/2, C /groups/y/3`},
	{"group member renamed", func(u *union) { u.ok(u.rename("/groups/x/1", "/groups/y/1", 0)) },
		`C /groups/x, D /groups/x/1, C /groups/x/2, C /groups/y, A /groups/y/1, C /groups/y/3`},
	{"group members exchanged", func(u *union) { u.ok(u.rename("/groups/x/1", "/groups/lone", unix.RENAME_EXCHANGE)) },
		`C /groups, C /groups/lone, C /groups/x, C /groups/x/1, C /groups/x/2, C /groups/y/3`},
	{"group split into copies", func(u *union) {
		u.ok(u.unlink("/groups/x/2"))
		u.put("/groups/x/2", "one")
		u.setTime("/groups/x/2")
		u.setTime("/groups/x")
		u.ok(u.chown("/groups/x/2", 0, 0))
	}, `C /groups/x/2`},
	{"file joins a group", func(u *union) { u.ok(u.unlink("/groups/lone")); u.ok(u.link("/groups/x/1", "/groups/lone")) },
		`C /groups, C /groups/lone, C /groups/x/1, C /groups/x/2, C /groups/y/3`},
	{"group in a renamed directory", func(u *union) { u.ok(u.rename("/groups/y", "/groups/z", 0)) },
		`C /groups, C /groups/x/1, C /groups/x/2, D /groups/y, A /groups/z, A /groups/z/3`},
	{"group in a renamed directory, others gone", func(u *union) { u.ok(u.rename("/groups/y", "/groups/z", 0)); u.removeAll("/groups/x") },
		`C /groups, D /groups/x, D /groups/y, A /groups/z, A /groups/z/3`},
	{"whole group in a renamed directory", func(u *union) { u.ok(u.rename("/groups", "/g", 0)) },
		`C /, A /g, A /g/lone, A /g/x, A /g/x/1, A /g/x/2, A /g/y, A /g/y/3, D /groups`},
	{"two directories of a group exchanged", func(u *union) { u.ok(u.rename("/groups/x", "/groups/y", unix.RENAME_EXCHANGE)) },
		`C /groups, D /groups/x/1, D /groups/x/2, A /groups/x/3, A /groups/y/1, A /groups/y/2, D /groups/y/3`},
	{"a directory of a group exchanged with one that has the name, too", func(u *union) { u.ok(u.rename("/groups/y", "/other", unix.RENAME_EXCHANGE)) },
		`C /, C /groups, C /groups/x/1, C /groups/x/2, C /groups/y/3, A /groups/y/long, C /other/3, D /other/long`},
	{"group of two remade", func(u *union) {
		u.ok(u.unlink("/groups/x/1"))
		u.ok(u.unlink("/groups/x/2"))
		u.put("/groups/x/1", "one")
		u.ok(u.link("/groups/x/1", "/groups/x/2"))
	}, `C /groups/x, C /groups/x/1, C /groups/x/2`},
}

func (u *union) setTime(p string) {
	u.t.Helper()
	t := Time{Sec: lowerTime.Unix(), Nsec: uint32(lowerTime.Nanosecond())}
	_, err := u.Setattr(nil, u.id(p), SetAttr{Valid: SetMtime, Mtime: t})
	u.ok(err)
}

func (u *union) removeAll(p string) {
	u.t.Helper()
	if !u.isDir(p) {
		u.ok(u.unlink(p))
		return
	}
	for _, name := range u.list(p) {
		u.removeAll(p + "/" + name)
	}
	u.ok(u.rmdir(p))
}

func (u *union) isDir(p string) bool { return u.attr(p).Mode&unix.S_IFMT == unix.S_IFDIR }

func (u *union) changes() string {
	u.t.Helper()
	changes, err := changesOf(u.FS)
	u.ok(err)
	var lines []string
	for _, c := range changes {
		lines = append(lines, string(c.Kind)+" "+c.Path)
	}
	return strings.Join(lines, ", ")
}

func TestChanges(t *testing.T) {
	for _, c := range changeCases {
		t.Run(c.name, func(t *testing.T) {
			u := newUnion(t, changeSample()...)
			// New files are then owned as those of the lower are.
			u.cred = Cred{}
			c.do(u)
			if got := u.changes(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			u.remount()
			if got := u.changes(); got != c.want {
				t.Errorf("remounted:\ngot  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestChangesOfAReadOnlyUnion(t *testing.T) {
	u := newUnion(t, sample()...)
	u.put("/etc/new", "x")
	u.ok(u.unlink("/etc/hosts"))
	u.unmount()
	before := u.upperFiles()
	u.o.ReadOnlyUpper, u.o.Work = true, ""
	u.mount()
	if got, want := u.changes(), `C /etc, D /etc/hosts, A /etc/new`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if after := u.upperFiles(); len(after) != len(before) {
		t.Errorf("the upper has %v, had %v", after, before)
	}
	u.unmount()
	u.o.Upper = ""
	u.mount()
	if got := u.changes(); got != "" {
		t.Errorf("changes without an upper: %s", got)
	}
}

func TestChangesPassesErrorsOn(t *testing.T) {
	u := newUnion(t, sample()...)
	u.put("/new", "x")
	enough := errors.New("enough")
	calls := 0
	err := u.Changes(func(Change) error {
		calls++
		return enough
	})
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("after %d calls: %v", calls, err)
	}
}
