package unionfs

import (
	"archive/tar"
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestXattrs(t *testing.T) {
	u := newUnion(t, sample()...)
	names := []string{
		"user.x", "user.overlay.opaque", "user.overlay.whiteout", "user.overlay.metacopy", "user.containers.override_stat",
		"user.layerfs.origin", "user.layerfs.owner", "user.fuseoverlayfs.opaque", "user.layerfs.escape.overlay.opaque",
		"user.containers.override_security.x", "security.selinux", "security.capability", "trusted.overlay.opaque",
	}
	u.ok(u.mkdir("/new"))
	u.put("/file", "x")
	for _, p := range []string{"/new", "/file", "/etc/hosts", "/tree"} {
		before := u.tree()
		for _, n := range names {
			u.ok(u.Setxattr(u.id(p), n, []byte("value of "+n), 0, false))
		}
		u.settle()
		got, err := u.Listxattr(u.id(p))
		u.ok(err)
		slices.Sort(got)
		want := slices.Sorted(slices.Values(names))
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v\nwant %v", p, got, want)
		}
		for _, n := range names {
			if v, err := u.Getxattr(u.id(p), n); err != nil || string(v) != "value of "+n {
				t.Errorf("%s: %s is %q, %v", p, n, v, err)
			}
			u.ok(u.Removexattr(u.id(p), n))
			u.fails(syscall.ENODATA, u.Removexattr(u.id(p), n))
		}
		diffTrees(t, "before", before, "after", u.settle())
	}
	id := u.id("/file")
	u.fails(syscall.EOPNOTSUPP, u.Setxattr(id, "system.other", nil, 0, false))
	u.fails(syscall.EOPNOTSUPP, u.Setxattr(id, "user.", nil, 0, false))
	u.fails(syscall.ERANGE, u.Setxattr(id, "user."+strings.Repeat("x", 300), nil, 0, false))
	u.ok(u.Setxattr(id, "user.a", []byte("1"), unix.XATTR_CREATE, false))
	u.fails(syscall.EEXIST, u.Setxattr(id, "user.a", []byte("2"), unix.XATTR_CREATE, false))
	u.fails(syscall.ENODATA, u.Setxattr(id, "user.b", []byte("2"), unix.XATTR_REPLACE, false))
	// A link's attributes are its own, not those of what it points to.
	u.fails(syscall.EPERM, u.Setxattr(u.id("/etc/link"), "user.a", []byte("1"), 0, false))
	u.ok(u.Setxattr(u.id("/etc/link"), "trusted.a", []byte("1"), 0, false))
	_, err := u.Getxattr(u.id("/etc/hosts"), "trusted.a")
	u.fails(syscall.ENODATA, err)
	u.settle()
}

// aclOf makes the value of an ACL from tag, permissions and id of each entry.
func aclOf(entries ...[3]uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, e[2])
	}
	return b
}

const noID = 0xffffffff

func TestACLAndMode(t *testing.T) {
	u := newUnion(t, sample()...)
	const access = "system.posix_acl_access"
	long := aclOf([3]uint32{1, 6, noID}, [3]uint32{2, 7, 1000}, [3]uint32{4, 4, noID}, [3]uint32{16, 5, noID}, [3]uint32{32, 0, noID})
	id := u.id("/etc/hosts")
	u.ok(u.Setxattr(id, access, long, 0, false))
	if a := u.attr("/etc/hosts"); a.Mode != unix.S_IFREG|0o650 { // the mask is the group class
		t.Errorf("mode %o, want 0650", a.Mode)
	}
	u.settle()
	u.ok(u.chmod("/etc/hosts", 0o724))
	want := aclOf([3]uint32{1, 7, noID}, [3]uint32{2, 7, 1000}, [3]uint32{4, 4, noID}, [3]uint32{16, 2, noID}, [3]uint32{32, 4, noID})
	if v, err := u.Getxattr(u.id("/etc/hosts"), access); err != nil || string(v) != string(want) {
		t.Errorf("ACL %x, want %x (%v)", v, want, err)
	}
	u.settle()
	// One that is no more than a mode is only a mode.
	u.ok(u.chmod("/etc/shadow", 0o2755))
	u.ok(u.Setxattr(u.id("/etc/shadow"), access, aclOf([3]uint32{1, 6, noID}, [3]uint32{4, 4, noID}, [3]uint32{32, 4, noID}), 0, true))
	if a := u.attr("/etc/shadow"); a.Mode != unix.S_IFREG|0o644 {
		t.Errorf("mode %o, want 0644", a.Mode)
	}
	_, err := u.Getxattr(u.id("/etc/shadow"), access)
	u.fails(syscall.ENODATA, err)
	u.fails(syscall.EINVAL, u.Setxattr(id, access, []byte("nonsense"), 0, false))
	u.fails(syscall.EINVAL, u.Setxattr(id, access, aclOf([3]uint32{1, 6, noID}), 0, false))
	u.fails(syscall.EACCES, u.Setxattr(id, "system.posix_acl_default", long, 0, false))
	u.ok(u.Removexattr(id, access))
	u.settle()
}

// The expected values are what ext4 gives (setfacl -d, then touch and mkdir
// with umask 022).
func TestDefaultACL(t *testing.T) {
	u := newUnion(t, sample()...)
	u.cred.Umask = 0o022
	def := aclOf([3]uint32{1, 7, noID}, [3]uint32{2, 6, 1000}, [3]uint32{4, 5, noID}, [3]uint32{16, 7, noID}, [3]uint32{32, 0, noID})
	u.ok(u.Setxattr(u.id("/etc"), "system.posix_acl_default", def, 0, false))
	u.ok(u.mknod("/etc/file", unix.S_IFREG|0o666, 0, 0))
	d, name := u.up("/etc/dir")
	_, err := u.Mkdir(u.cred, d, name, 0o777)
	u.ok(err)
	u.ok(u.symlink("x", "/etc/sym"))
	u.settle()
	want := aclOf([3]uint32{1, 6, noID}, [3]uint32{2, 6, 1000}, [3]uint32{4, 5, noID}, [3]uint32{16, 6, noID}, [3]uint32{32, 0, noID})
	if v, _ := u.Getxattr(u.id("/etc/file"), "system.posix_acl_access"); string(v) != string(want) {
		t.Errorf("ACL of the file %x, want %x", v, want)
	}
	if a := u.attr("/etc/file"); a.Mode != unix.S_IFREG|0o660 {
		t.Errorf("mode of the file %o", a.Mode)
	}
	if a := u.attr("/etc/dir"); a.Mode != unix.S_IFDIR|0o770 {
		t.Errorf("mode of the directory %o", a.Mode)
	}
	for _, n := range []string{"system.posix_acl_access", "system.posix_acl_default"} {
		if v, _ := u.Getxattr(u.id("/etc/dir"), n); string(v) != string(def) {
			t.Errorf("%s of the directory %x, want %x", n, v, def)
		}
	}
	if names, _ := u.Listxattr(u.id("/etc/sym")); len(names) != 0 {
		t.Errorf("xattrs of the symlink: %v", names)
	}
}

func TestXattrsTooBig(t *testing.T) {
	u := newUnion(t, file("f", "x").with(func(h *tar.Header) {
		h.PAXRecords = map[string]string{"SCHILY.xattr.user.big": strings.Repeat("x", 60000)}
	}), file("g", "x"))
	err := u.chmod("/f", 0o600)
	if err != nil { // ext4; others have room for it
		u.fails(syscall.ENOSPC, err)
	}
	u.ok(u.unlink("/f"))
	u.settle()
	if left, _ := os.ReadDir(u.o.Work); len(left) != 0 {
		t.Errorf("left in work: %v", left)
	}
}
