package tarindex

import (
	"encoding/binary"
	"slices"
	"strings"
	"unsafe"
)

// A set of extended attributes in the xattrs section: their number (4 bytes),
// then for each, sorted by name: length of the name (2 bytes), length of the
// value (4 bytes), name, value. Equal sets are stored once.

// HasXattrs reports whether i has extended attributes.
func (x *Index) HasXattrs(i Ino) bool {
	n, _ := x.inode(i)
	return n.xattrs != 0
}

// Xattr returns the value of the extended attribute name of i.
func (x *Index) Xattr(i Ino, name string) ([]byte, bool) {
	n, _ := x.inode(i)
	for set := x.xattrSet(n.xattrs); set.next(); {
		if set.name == name {
			return set.value, true
		}
	}
	return nil, false
}

// Xattrs returns the extended attributes of i, sorted by name.
func (x *Index) Xattrs(i Ino) []Xattr {
	var all []Xattr
	n, _ := x.inode(i)
	for set := x.xattrSet(n.xattrs); set.next(); {
		all = append(all, Xattr{Name: set.name, Value: set.value})
	}
	return all
}

// An xattrSet goes through one set. It ends early where the set is damaged.
type xattrSet struct {
	rest  []byte
	left  uint32 // attributes to come
	name  string
	value []byte
}

// xattrSet returns the set at ref-1; an empty one for 0.
func (x *Index) xattrSet(ref uint32) xattrSet {
	if ref == 0 || uint64(ref)+3 > uint64(len(x.xattrs)) {
		return xattrSet{}
	}
	b := x.xattrs[ref-1:]
	return xattrSet{rest: b[4:], left: binary.LittleEndian.Uint32(b)}
}

func (s *xattrSet) next() bool {
	if s.left == 0 || len(s.rest) < 6 {
		return false
	}
	k, v := uint64(binary.LittleEndian.Uint16(s.rest)), uint64(binary.LittleEndian.Uint32(s.rest[2:]))
	b := s.rest[6:]
	if k == 0 || k+v > uint64(len(b)) {
		return false
	}
	s.name, s.value = unsafe.String(&b[0], k), b[k:k+v:k+v]
	s.rest = b[k+v:]
	s.left--
	return true
}

// appendXattrSet appends the encoding of set, which it sorts, to b.
func appendXattrSet(b []byte, set []Xattr) []byte {
	slices.SortFunc(set, func(p, q Xattr) int { return strings.Compare(p.Name, q.Name) })
	b = binary.LittleEndian.AppendUint32(b, uint32(len(set)))
	for _, a := range set {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(a.Name)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(a.Value)))
		b = append(append(b, a.Name...), a.Value...)
	}
	return b
}

// rawXattrs returns the encoding of the set of n; nil for none or a damaged one.
func (x *Index) rawXattrs(n *inode) []byte {
	set := x.xattrSet(n.xattrs)
	for set.next() {
	}
	if n.xattrs == 0 || set.left != 0 || set.name == "" {
		return nil
	}
	b := x.xattrs[n.xattrs-1:]
	return b[:len(b)-len(set.rest)]
}
