package tarindex

import (
	"encoding/binary"
	"iter"
	"sort"
)

// What only a layer's own index has: whiteouts, opaque marks, directories
// without a header, and links to lower layers. Merge uses them up; a merged
// index has none of them but Unresolved.

// namesOf returns the records of dir in a section of records that begin with a
// nameRecord and are sorted by directory.
func namesOf(section []byte, size int, dir Ino) []byte {
	at := func(i int) uint32 { return binary.LittleEndian.Uint32(section[i*size:]) }
	n := len(section) / size
	lo := sort.Search(n, func(i int) bool { return at(i) >= uint32(dir) })
	hi := lo + sort.Search(n-lo, func(i int) bool { return at(lo+i) > uint32(dir) })
	return section[lo*size : hi*size]
}

// Opaque reports whether the layer hides all that lower layers have in the
// directory dir.
func (x *Index) Opaque(dir Ino) bool {
	n, _ := x.dir(dir)
	return n.flags&flagOpaque != 0
}

// Implied reports whether the layer has no entry for the directory dir itself:
// where a lower layer has the directory, its attributes stay.
func (x *Index) Implied(dir Ino) bool {
	n, _ := x.dir(dir)
	return n.flags&flagImplied != 0
}

// Phantom reports whether the directory dir is only the place of whiteouts:
// where no lower layer has it, there is none.
func (x *Index) Phantom(dir Ino) bool {
	n, _ := x.dir(dir)
	return n.flags&flagPhantom != 0
}

// Whiteouts yields the names that the layer hides in the directory dir, sorted.
func (x *Index) Whiteouts(dir Ino) iter.Seq[string] {
	return func(yield func(string) bool) {
		le := binary.LittleEndian
		for b := namesOf(x.whiteouts, whiteoutSize, dir); len(b) > 0; b = b[whiteoutSize:] {
			if !yield(x.str(le.Uint32(b[4:]), le.Uint32(b[8:]))) {
				return
			}
		}
	}
}

// ForeignLinks yields name and target of the hard links in the directory dir
// whose target is not in this index: a path without a leading slash.
func (x *Index) ForeignLinks(dir Ino) iter.Seq2[string, string] {
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
