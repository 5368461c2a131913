package tarindex

import (
	"encoding/binary"
	"iter"
)

// Len returns the number of inodes.
func (x *Index) Len() int { return int(x.hdr.inodes) }

// Attr returns the attributes of i.
func (x *Index) Attr(i Ino) Attr {
	n, ok := x.inode(i)
	if !ok {
		return Attr{}
	}
	a := Attr{Mode: n.mode, UID: n.uid, GID: n.gid, Nlink: n.nlink, Size: n.size, Mtime: n.mtime}
	if t := n.mode & ModeType; t == ModeChar || t == ModeBlock {
		a.Major, a.Minor = n.a, n.b
	}
	return a
}

// Lookup finds name in the directory dir, in constant time.
func (x *Index) Lookup(dir Ino, name string) (Ino, bool) {
	if len(name) == 0 || len(name) > nameMax || x.hdr.slots == 0 {
		return 0, false
	}
	h := nameHash(dir, name)
	mask := uint64(x.hdr.slots - 1)
	for p := range uint64(probes) {
		off := ((h + p) & mask) * slotSize
		slot := binary.LittleEndian.Uint64(x.table[off : off+slotSize])
		if slot == 0 {
			return 0, false
		}
		if slot>>32 != h>>32 {
			continue
		}
		d, ok := x.dirent(uint32(slot) - 1)
		if ok && d.dir == dir && x.str(d.name, d.size) == name {
			return d.ino, uint32(d.ino) < x.hdr.inodes
		}
	}
	return x.search(dir, name)
}

// search is Lookup without the hash table.
func (x *Index) search(dir Ino, name string) (Ino, bool) {
	lo, hi := 0, x.Children(dir)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		s, i := x.Child(dir, mid)
		switch {
		case s == name:
			return i, true
		case s < name:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return 0, false
}

// Children returns the number of names in the directory dir.
func (x *Index) Children(dir Ino) int {
	n, ok := x.dir(dir)
	if !ok || uint64(n.a)+uint64(n.b) > uint64(x.hdr.dirents) {
		return 0
	}
	return int(n.b)
}

// Child returns the name at position pos of the directory dir, 0 <= pos <
// Children(dir). Names are sorted by their bytes.
func (x *Index) Child(dir Ino, pos int) (name string, i Ino) {
	n, ok := x.dir(dir)
	if !ok || pos < 0 || uint64(pos) >= uint64(n.b) {
		return "", 0
	}
	d, ok := x.dirent(n.a + uint32(pos))
	if !ok || uint32(d.ino) >= x.hdr.inodes {
		return "", 0
	}
	return x.str(d.name, d.size), d.ino
}

// Parent returns the directory that the directory dir is in. The root is its
// own parent.
func (x *Index) Parent(dir Ino) Ino {
	n, ok := x.dir(dir)
	if !ok || n.c >= x.hdr.inodes {
		return Root
	}
	return Ino(n.c)
}

// Path returns the path of the directory dir: "/", "/a/b".
func (x *Index) Path(dir Ino) string {
	if dir == Root {
		return "/"
	}
	var names []string
	size := 0
	for i := dir; i != Root; {
		n, ok := x.dir(i)
		if !ok || len(names) > x.Len() { // a damaged index may have a cycle
			return ""
		}
		d, _ := x.dirent(n.name)
		name := x.str(d.name, d.size)
		names = append(names, name)
		size += 1 + len(name)
		i = x.Parent(i)
	}
	path := make([]byte, 0, size)
	for k := len(names) - 1; k >= 0; k-- {
		path = append(append(path, '/'), names[k]...)
	}
	return string(path)
}

// Content returns the hash of the regular file i; false for the empty file,
// which has no content, and for all that is no regular file.
func (x *Index) Content(i Ino) (Hash, bool) {
	n, ok := x.inode(i)
	if !ok || n.mode&ModeType != ModeRegular || n.a == 0 {
		return Hash{}, false
	}
	h, _, ok := x.content(n.a - 1)
	return h, ok
}

func (x *Index) content(i uint32) (h Hash, size int64, ok bool) {
	if i >= x.hdr.contents {
		return Hash{}, 0, false
	}
	b := x.contents[uint64(i)*contentSize:][:contentSize]
	return Hash(b[:32]), int64(binary.LittleEndian.Uint64(b[32:])), true
}

// Contents yields every content that the index refers to, once, with its size
// in bytes. For a layer's own index that is more than its files have: it
// includes the contents of entries which later entries of the same layer
// replaced, because the layer's tar cannot be assembled without them.
func (x *Index) Contents() iter.Seq2[Hash, int64] {
	return func(yield func(Hash, int64) bool) {
		for i := range x.hdr.contents {
			h, size, _ := x.content(i)
			if !yield(h, size) {
				return
			}
		}
	}
}

// Readlink returns the target of the symbolic link i.
func (x *Index) Readlink(i Ino) string {
	n, ok := x.inode(i)
	if !ok || n.mode&ModeType != ModeSymlink || n.size < 0 || n.size > int64(len(x.strings)) {
		return ""
	}
	return x.str(n.a, uint32(n.size))
}

// Links returns all names of an inode with more than one, by directory and
// name; none for directories and for inodes with one name.
func (x *Index) Links(i Ino) []Link {
	n, ok := x.inode(i)
	if !ok || n.isDir() || n.nlink < 2 || uint64(n.c)+uint64(n.nlink) > uint64(x.hdr.links) {
		return nil
	}
	links := make([]Link, 0, n.nlink)
	for k := range n.nlink {
		b := x.links[uint64(n.c+k)*linkSize:]
		d, _ := x.dirent(binary.LittleEndian.Uint32(b))
		links = append(links, Link{Dir: d.dir, Name: x.str(d.name, d.size)})
	}
	return links
}
