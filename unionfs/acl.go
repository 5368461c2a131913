package unionfs

import (
	"encoding/binary"
	"slices"
	"syscall"
)

// POSIX access control lists. The kernel checks them, and leaves to the file
// system what keeps them and the mode of a file in step (acl(5)): a new object
// inherits the default ACL of its directory, chmod changes the ACL, a new ACL
// changes the mode.

// An aclEntry is one entry, as in the value of the extended attribute:
// version 2, then tag, permissions and id of each, little-endian.
type aclEntry struct {
	tag, perm uint16
	id        uint32
}

type acl []aclEntry

const (
	aclVersion   = 2
	aclHeader    = 4
	aclEntrySize = 8

	aclUserObj  = 0x01
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20
)

func parseACL(b []byte) (acl, error) {
	if len(b) == 0 {
		return nil, nil
	}
	le := binary.LittleEndian
	if len(b) < aclHeader || (len(b)-aclHeader)%aclEntrySize != 0 {
		return nil, syscall.EINVAL
	}
	if le.Uint32(b) != aclVersion {
		return nil, syscall.EOPNOTSUPP
	}
	var a acl
	seen := make(map[uint16]int)
	for b = b[aclHeader:]; len(b) > 0; b = b[aclEntrySize:] {
		e := aclEntry{tag: le.Uint16(b), perm: le.Uint16(b[2:]), id: le.Uint32(b[4:])}
		seen[e.tag]++
		a = append(a, e)
	}
	named := seen[aclUser] + seen[aclGroup]
	known := named + seen[aclUserObj] + seen[aclGroupObj] + seen[aclMask] + seen[aclOther]
	if len(a) > 0 && (known != len(a) || seen[aclUserObj] != 1 || seen[aclGroupObj] != 1 || seen[aclOther] != 1 ||
		seen[aclMask] > 1 || named > 0 && seen[aclMask] == 0) {
		return nil, syscall.EINVAL
	}
	return a, nil
}

func (a acl) bytes() []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, aclVersion)
	for _, e := range a {
		b = le.AppendUint32(le.AppendUint16(le.AppendUint16(b, e.tag), e.perm), e.id)
	}
	return b
}

// classes returns the entries that the three permission classes of a mode stand
// for: the group class is the mask, if there is one.
func (a acl) classes() (user, group, other *aclEntry) {
	for i := range a {
		switch e := &a[i]; e.tag {
		case aclUserObj:
			user = e
		case aclGroupObj:
			if group == nil {
				group = e
			}
		case aclMask:
			group = e
		case aclOther:
			other = e
		}
	}
	return user, group, other
}

// minimal reports whether the ACL says no more than a mode can.
func (a acl) minimal() bool { return len(a) <= 3 }

func (a acl) mode() uint32 {
	user, group, other := a.classes()
	return uint32(user.perm&7)<<6 | uint32(group.perm&7)<<3 | uint32(other.perm&7)
}

func (a acl) setMode(mode uint32) {
	user, group, other := a.classes()
	user.perm, group.perm, other.perm = uint16(mode>>6&7), uint16(mode>>3&7), uint16(mode&7)
}

// inherit returns what a new object gets from the default ACL of its directory:
// its access ACL (nil if the mode says it all) and its mode.
func (a acl) inherit(mode uint32) (acl, uint32) {
	access := slices.Clone(a)
	perm := mode & access.mode()
	access.setMode(perm)
	if access.minimal() {
		access = nil
	}
	return access, mode&^0o777 | perm
}

// setAccessACL sets an access ACL and the mode that belongs to it.
func (f *FS) setAccessACL(n *node, l location, a acl, killSGID bool) error {
	if a.minimal() {
		if err := removeXattr(l, xattrAccessACL, true); err != nil {
			return err
		}
		n.acl = false
	} else {
		if err := l.setxattr(storedName(xattrAccessACL), a.bytes(), 0); err != nil {
			return err
		}
		n.xattrs, n.acl = true, true
	}
	if len(a) == 0 {
		return nil
	}
	m := n.meta
	m.mode = m.mode&^0o777 | a.mode()
	if killSGID {
		m.mode &^= syscall.S_ISGID
	}
	return f.setMeta(n, l, m)
}

// chmodACL makes the access ACL at l fit a new mode.
func chmodACL(l location, mode uint32) error {
	v, err := l.getxattr(storedName(xattrAccessACL))
	if err != nil {
		return err
	}
	a, err := parseACL(v)
	if err != nil || len(a) == 0 {
		return err
	}
	a.setMode(mode)
	return l.setxattr(storedName(xattrAccessACL), a.bytes(), 0)
}
