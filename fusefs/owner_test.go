package fusefs

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func owned(f file, uid, gid int, mode int64) file {
	f.Uid, f.Gid, f.Mode = uid, gid, mode
	return f
}

// TestWorkshop: a plain user's mount denies him nothing.
func TestWorkshop(t *testing.T) {
	if thisWay() != asPlain {
		t.Skip("needs a plain user")
	}
	u := mount(t, "", owned(dir("root"), 0, 0, 0o700), owned(regular("root/shadow", "secret"), 0, 42, 0), regular("f", "x"))
	u.want("root/shadow", "secret")
	u.write("root/shadow", "changed")
	check(t, os.Chown(u.at("f"), 0, 0))
	check(t, os.Chmod(u.at("f"), 0))
	u.want("f", "x")
	check(t, os.Chown(u.at("root/shadow"), 4_000_000_000, 7))
	check(t, os.Chmod(u.at("root"), 0))
	u.write("root/new", "in a closed directory")
	check(t, os.Chmod(u.at("root/new"), 0o4755|os.ModeSetuid))
	for range 2 {
		if st := u.stat("f"); st.Uid != 0 || st.Gid != 0 || st.Mode&0o7777 != 0 {
			t.Errorf("f: %d:%d %o", st.Uid, st.Gid, st.Mode)
		}
		if st := u.stat("root/shadow"); st.Uid != 4_000_000_000 || st.Gid != 7 {
			t.Errorf("shadow: %d:%d", st.Uid, st.Gid)
		}
		if st := u.stat("root/new"); st.Mode&0o7777 != 0o4755 || int(st.Uid) != os.Getuid() {
			t.Errorf("new: %d %o", st.Uid, st.Mode)
		}
		u.want("root/shadow", "changed")
		u.want("f", "x")
		u.remount()
	}
}

// TestPermissions: as root, other users are let in and checked.
func TestPermissions(t *testing.T) {
	if thisWay() != asRoot {
		t.Skip("needs root, to be two users")
	}
	u := mount(t, "", owned(regular("private", "p"), 0, 0, 0o600), owned(regular("public", "p"), 0, 0, 0o644),
		owned(regular("theirs", "t"), nobody, nobody, 0o600), owned(dir("sticky"), 0, 0, 0o1777), owned(regular("sticky/f", ""), 0, 0, 0o666))
	openPath(t, u.Target)
	as := func(script string) bool {
		cmd := exec.Command("/bin/sh", "-c", script)
		cmd.Dir = u.Target
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		return cmd.Run() == nil
	}
	for _, c := range []struct {
		script string
		want   bool
	}{
		{"cat public", true},
		{"cat private", false},
		{"cat theirs", true},
		{"echo x >> theirs", true},
		{"echo x >> public", false},
		{"echo x > new", false},
		{"chown 0 theirs", false},
		{"chmod 666 public", false},
		{"rm -f sticky/f", false},
		{"echo x > sticky/own", true},
		{"mv sticky/own sticky/2", true},
		{"test -w public || test -w sticky", true},
	} {
		if got := as(c.script); got != c.want {
			t.Errorf("as another user, %q: success %v, want %v", c.script, got, c.want)
		}
	}
	for script, keeps := range map[string]bool{
		"echo x >> theirs":                  false,
		"truncate -s 3 theirs":              false,
		"fallocate -l 9 theirs":             false,
		"chgrp 65534 theirs":                false,
		"touch theirs":                      true,
		"cat theirs > /dev/null":            true,
		"setfattr -n user.a theirs || true": true,
	} {
		check(t, os.Chmod(u.at("theirs"), os.ModeSetuid|os.ModeSetgid|0o755))
		if !as(script) {
			t.Errorf("%s failed", script)
		}
		if st := u.stat("theirs"); (st.Mode&0o7777 == 0o6755) != keeps || st.Mode&0o777 != 0o755 {
			t.Errorf("%s: mode is %o, setuid and setgid kept: want %v", script, st.Mode&0o7777, keeps)
		}
	}
	// Root writes and keeps them, but not at chown.
	check(t, os.Chmod(u.at("theirs"), os.ModeSetuid|os.ModeSetgid|0o755))
	u.write("theirs", "by root")
	if st := u.stat("theirs"); st.Mode&0o7777 != 0o6755 {
		t.Errorf("root's write made the mode %o", st.Mode&0o7777)
	}
	check(t, os.Chown(u.at("theirs"), 0, 0))
	if st := u.stat("theirs"); st.Mode&0o7777 != 0o755 {
		t.Errorf("root's chown made the mode %o", st.Mode&0o7777)
	}
}

// openPath lets other users reach a directory below t.TempDir.
func openPath(t *testing.T, path string) {
	t.Helper()
	for p := path; p != os.TempDir() && p != "/"; p = p[:lastSlash(p)] {
		if p != path { // the mount's own root is 0755
			check(t, os.Chmod(p, 0o755))
		}
	}
}

func lastSlash(p string) int {
	i := len(p) - 1
	for i > 0 && p[i] != '/' {
		i--
	}
	return i
}

func TestSquash(t *testing.T) {
	if thisWay() == asNamespace {
		t.Skip("a user namespace of one id has no other ids to squash")
	}
	u := mount(t, "squash", owned(regular("f", "x"), 33, 44, 0o644), owned(dir("d"), 1, 2, 0o755))
	me, mine := uint32(os.Geteuid()), uint32(os.Getegid())
	for _, name := range []string{"f", "d"} {
		if st := u.stat(name); st.Uid != me || st.Gid != mine {
			t.Errorf("%s is shown as %d:%d, want %d:%d", name, st.Uid, st.Gid, me, mine)
		}
	}
	check(t, os.Chown(u.at("f"), int(me), int(mine)))
	wantErr(t, "chown to another", os.Chown(u.at("f"), 99, -1), unix.EPERM)
	u.write("new", "x")
	u.stop()
	u.Options = ""
	check(t, u.tryStart())
	if st := u.stat("f"); st.Uid != 33 || st.Gid != 44 {
		t.Errorf("without squash f belongs to %d:%d, want 33:44 as recorded", st.Uid, st.Gid)
	}
	if st := u.stat("new"); st.Uid != me {
		t.Errorf("the new file is recorded as %d's, want %d", st.Uid, me)
	}
}

func TestMaps(t *testing.T) {
	if thisWay() == asNamespace {
		t.Skip("a user namespace of one id has no other ids to map")
	}
	me := uint32(os.Geteuid())
	u := mount(t, "uidmap=500:"+utoa(me)+":1,uidmap=0:2000:10,gidmap=7:"+utoa(uint32(os.Getegid()))+":1",
		owned(regular("f", "x"), 5, 7, 0o644), owned(regular("out", "x"), 10, 8, 0o644))
	if st := u.stat("f"); st.Uid != 2005 || st.Gid != uint32(os.Getegid()) {
		t.Errorf("f is shown as %d:%d", st.Uid, st.Gid)
	}
	if st := u.stat("out"); st.Uid != 65534 || st.Gid != 65534 {
		t.Errorf("ids outside the map are shown as %d:%d", st.Uid, st.Gid)
	}
	u.write("new", "x")
	check(t, os.Chown(u.at("f"), 2009, -1))
	wantErr(t, "chown outside the map", os.Chown(u.at("f"), 2010, -1), unix.EOVERFLOW)
	u.stop()
	u.Options = ""
	check(t, u.tryStart())
	if st := u.stat("new"); st.Uid != 500 || st.Gid != 7 {
		t.Errorf("the new file is recorded as %d:%d, want 500:7", st.Uid, st.Gid)
	}
	if st := u.stat("f"); st.Uid != 9 || st.Gid != 7 {
		t.Errorf("f is recorded as %d:%d, want 9:7", st.Uid, st.Gid)
	}
}

func TestACLChangesMode(t *testing.T) {
	u := mount(t, "", owned(regular("f", "x"), os.Geteuid(), os.Getegid(), 0o600))
	// user::rw-, user:0:rwx, group::r--, mask::rwx, other::---
	acl := unhex(t, "02000000 0100 0600 ffffffff 0200 0700 00000000 0400 0400 ffffffff 1000 0700 ffffffff 2000 0000 ffffffff")
	u.stat("f")
	check(t, unix.Setxattr(u.at("f"), aclAccess, acl, 0))
	if st := u.stat("f"); st.Mode&0o777 != 0o670 {
		t.Errorf("mode %o after the ACL was set, want 670: the group bits are the mask", st.Mode&0o777)
	}
	check(t, os.Chmod(u.at("f"), 0o640))
	got := make([]byte, 100)
	n, err := unix.Getxattr(u.at("f"), aclAccess, got)
	check(t, err)
	want := unhex(t, "02000000 0100 0600 ffffffff 0200 0700 00000000 0400 0400 ffffffff 1000 0400 ffffffff 2000 0000 ffffffff")
	if string(got[:n]) != string(want) {
		t.Errorf("after chmod 640 the ACL is %x, want %x", got[:n], want)
	}
}

func utoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// TestOthersFiles: the usual programs keep attributes in a plain user's mount
// though the files there belong to others. They write a mode as an ACL where
// they take ACLs to be supported, which Linux denies who is not the owner.
func TestOthersFiles(t *testing.T) {
	if thisWay() != asPlain {
		t.Skip("needs a plain user")
	}
	u := mount(t, "", owned(dir("d"), 0, 0, 0o755), owned(regular("d/f", "a"), 0, 0, 0o640))
	for _, line := range []string{"cp -a d copy", "cp -p d/f copy/g", "sed -i s/a/b/ d/f", "ls -l d", "tar cf t.tar d", "chmod g+w d/f", "touch d/f"} {
		cmd := exec.Command("/bin/sh", "-c", line)
		cmd.Dir = u.Target
		if out, err := cmd.CombinedOutput(); err != nil || line != "ls -l d" && len(out) > 0 {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	u.want("d/f", "b")
	for _, name := range []string{"d/f", "copy/f", "copy/g"} {
		if st := u.stat(name); st.Uid != 0 || st.Gid != 0 || st.Mode&0o747 != 0o640 {
			t.Errorf("%s: %d:%d %o", name, st.Uid, st.Gid, st.Mode)
		}
	}
}

// TestNothingChangesUnasked: what the kernel remembers of a directory stays
// true when something below it is copied up, else tar finds it changed.
func TestNothingChangesUnasked(t *testing.T) {
	u := mount(t, "", dir("etc"), dir("etc/sub"), regular("etc/passwd", "a"), regular("etc/sub/f", "b"))
	for _, line := range []string{
		"stat etc etc/sub >/dev/null; chmod 600 etc/passwd; tar cf /dev/null --warning=no-file-ignored etc",
		"touch etc/new; chmod 600 etc/sub/f; tar cf - etc | cat >/dev/null",
		"find . -type f -exec chmod u+x {} +; tar cf - . | cat >/dev/null",
	} {
		cmd := exec.Command("/bin/bash", "-o", "pipefail", "-c", line)
		cmd.Dir = u.Target
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}
