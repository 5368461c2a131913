package fusefs

import (
	"encoding/binary"
	"math"
	"slices"
	"syscall"
)

// A POSIX ACL travels as linux/posix_acl_xattr.h lays it out, little-endian:
// a 4-byte version, then entries of tag (2 bytes), permissions (2), id (4).
const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"

	aclVersion   = 2
	aclHeader    = 4
	aclEntry     = 8
	aclTagUser   = 0x02
	aclTagGroup  = 0x08
	aclUndefined = math.MaxUint32 // the id of entries that have none
)

func isACL(name string) bool { return name == aclAccess || name == aclDefault }

// showACL translates the ids in a recorded ACL to shown ones. What is no ACL,
// or nothing to translate, stays as it is.
func (o *owners) showACL(v []byte) []byte {
	out, _ := o.mapACL(v, func(m IDMap, id uint32) (uint32, bool) { return m.ToShown(id), true })
	return out
}

// recordACL translates the other way; EOVERFLOW for an id outside the map.
func (o *owners) recordACL(v []byte) ([]byte, error) {
	out, ok := o.mapACL(v, IDMap.ToRecorded)
	if !ok {
		return nil, syscall.EOVERFLOW
	}
	return out, nil
}

// mapACL leaves ACLs of a squashed mount alone: to show each of their users as
// the mounter would name him twice.
func (o *owners) mapACL(v []byte, to func(IDMap, uint32) (uint32, bool)) ([]byte, bool) {
	if o.plain() || o.squash || len(v) < aclHeader || (len(v)-aclHeader)%aclEntry != 0 ||
		binary.LittleEndian.Uint32(v) != aclVersion {
		return v, true
	}
	v = slices.Clone(v)
	for e := v[aclHeader:]; len(e) > 0; e = e[aclEntry:] {
		id := binary.LittleEndian.Uint32(e[4:])
		var m IDMap
		switch binary.LittleEndian.Uint16(e) {
		case aclTagUser:
			m = o.uids
		case aclTagGroup:
			m = o.gids
		}
		if id == aclUndefined {
			continue
		}
		mapped, ok := to(m, id)
		if !ok {
			return nil, false
		}
		binary.LittleEndian.PutUint32(e[4:], mapped)
	}
	return v, true
}
