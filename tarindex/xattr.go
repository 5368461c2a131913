package tarindex

import (
	"encoding/binary"
	"iter"
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
	for k, v := range x.xattrsOf(i) {
		if k == name {
			return v, true
		}
	}
	return nil, false
}

// Xattrs returns the extended attributes of i, sorted by name.
func (x *Index) Xattrs(i Ino) []Xattr {
	var all []Xattr
	for k, v := range x.xattrsOf(i) {
		all = append(all, Xattr{Name: k, Value: v})
	}
	return all
}

func (x *Index) xattrsOf(i Ino) iter.Seq2[string, []byte] {
	n, _ := x.inode(i)
	return x.xattrSet(n.xattrs)
}

// xattrSet yields the attributes of the set at ref-1, as far as it is whole.
func (x *Index) xattrSet(ref uint32) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		if ref == 0 || uint64(ref)-1 > uint64(len(x.xattrs)) {
			return
		}
		b := x.xattrs[ref-1:]
		if len(b) < 4 {
			return
		}
		count := binary.LittleEndian.Uint32(b)
		b = b[4:]
		for range count {
			if len(b) < 6 {
				return
			}
			k, v := uint64(binary.LittleEndian.Uint16(b)), uint64(binary.LittleEndian.Uint32(b[2:]))
			b = b[6:]
			if k == 0 || k+v > uint64(len(b)) {
				return
			}
			name, value := unsafe.String(&b[0], k), b[k:k+v:k+v]
			b = b[k+v:]
			if !yield(name, value) {
				return
			}
		}
	}
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

// rawXattrs returns the encoding of the set of n; nil for none. Two sets are
// equal if and only if their encodings are.
func (x *Index) rawXattrs(n *inode) []byte {
	size := 4
	for k, v := range x.xattrSet(n.xattrs) {
		size += 6 + len(k) + len(v)
	}
	if n.xattrs == 0 || size == 4 {
		return nil
	}
	return x.xattrs[n.xattrs-1:][:size]
}
