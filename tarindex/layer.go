package tarindex

import (
	"encoding/binary"
	"iter"
	"sort"
)

// What only a layer's own index has: whiteouts and links to lower layers. Only
// Merge reads them.

// namesOf returns the records of dir in a section of records that begin with a
// nameRecord and are sorted by directory.
func namesOf(section []byte, size int, dir Ino) []byte {
	at := func(i int) uint32 { return binary.LittleEndian.Uint32(section[i*size:]) }
	n := len(section) / size
	lo := sort.Search(n, func(i int) bool { return at(i) >= uint32(dir) })
	hi := lo + sort.Search(n-lo, func(i int) bool { return at(lo+i) > uint32(dir) })
	return section[lo*size : hi*size]
}

// whiteoutsOf yields the names that the layer whites out in dir.
func (x *Index) whiteoutsOf(dir Ino) iter.Seq[string] {
	return func(yield func(string) bool) {
		le := binary.LittleEndian
		for b := namesOf(x.whiteouts, whiteoutSize, dir); len(b) > 0; b = b[whiteoutSize:] {
			if !yield(x.str(le.Uint32(b[4:]), le.Uint32(b[8:]))) {
				return
			}
		}
	}
}

// foreignOf yields name and target of the hard links in dir whose target this
// index does not have.
func (x *Index) foreignOf(dir Ino) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		le := binary.LittleEndian
		for b := namesOf(x.foreign, foreignSize, dir); len(b) > 0; b = b[foreignSize:] {
			if !yield(x.str(le.Uint32(b[4:]), le.Uint32(b[8:])), x.str(le.Uint32(b[12:]), le.Uint32(b[16:]))) {
				return
			}
		}
	}
}

// Unresolved yields path and target of every hard link whose target is not in
// the index. In a layer's own index these are the links to files of lower
// layers; in a merged index those of its top layer that no lower layer
// resolved, which are left out of the tree.
func (x *Index) Unresolved() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		le := binary.LittleEndian
		for b := x.foreign; len(b) > 0; b = b[foreignSize:] {
			path := x.Path(Ino(le.Uint32(b)))
			if path != "/" {
				path += "/"
			}
			path += x.str(le.Uint32(b[4:]), le.Uint32(b[8:]))
			if !yield(path, x.str(le.Uint32(b[12:]), le.Uint32(b[16:]))) {
				return
			}
		}
	}
}
