package tarindex

import (
	"encoding/binary"
	"fmt"
)

// The index file: a header, then the sections in this order, each an array of
// fixed-size records or a run of bytes, all integers little-endian. The counts
// in the header fix every offset, so that a file of the wrong length is
// recognised at once. docs/format-index.md is the description for others.
//
//	header    96 bytes
//	inodes    64 bytes each, by Ino
//	dirents   16 bytes each, by directory and name
//	table      8 bytes each, the hash table over dirents
//	contents  40 bytes each: SHA-256, size
//	links      4 bytes each: dirents of inodes with several names
//	whiteouts 12 bytes each, by directory and name   (a layer's own index only)
//	foreign   20 bytes each, by directory and name   (see Index.Unresolved)
//	strings   names and link targets
//	xattrs    sets of extended attributes
const (
	magic   = "layerfs\x00"
	version = 1

	headerSize   = 96
	inodeSize    = 64
	direntSize   = 16
	slotSize     = 8
	contentSize  = 40
	linkSize     = 4
	whiteoutSize = 12
	foreignSize  = 20

	sumOffset = 64 // of the SHA-256 in the header
	nameMax   = 255
)

// Flags of an inode record.
const (
	flagOpaque  = 1 << iota // directory: hides what lower layers have in it
	flagImplied             // directory without a header of its own
	flagPhantom             // implied directory with nothing but whiteouts below
)

// header holds the counts of records (or bytes) per section.
type header struct {
	inodes, dirents, slots, contents, links, whiteouts, foreign uint32
	strings, xattrs                                             uint64
}

func (h *header) sizes() [9]uint64 {
	return [9]uint64{
		uint64(h.inodes) * inodeSize,
		uint64(h.dirents) * direntSize,
		uint64(h.slots) * slotSize,
		uint64(h.contents) * contentSize,
		uint64(h.links) * linkSize,
		uint64(h.whiteouts) * whiteoutSize,
		uint64(h.foreign) * foreignSize,
		h.strings,
		h.xattrs,
	}
}

func (h *header) put(b []byte) {
	le := binary.LittleEndian
	copy(b, magic)
	le.PutUint32(b[8:], version)
	for i, n := range []uint32{h.inodes, h.dirents, h.slots, h.contents, h.links, h.whiteouts, h.foreign} {
		le.PutUint32(b[12+4*i:], n)
	}
	le.PutUint64(b[40:], h.strings)
	le.PutUint64(b[48:], h.xattrs)
}

func parseHeader(b []byte) (header, error) {
	le := binary.LittleEndian
	if len(b) < headerSize || string(b[:len(magic)]) != magic {
		return header{}, fmt.Errorf("%w: no index header", ErrFormat)
	}
	if v := le.Uint32(b[8:]); v != version {
		return header{}, fmt.Errorf("%w: format version %d, this program reads version %d", ErrFormat, v, version)
	}
	var h header
	for i, n := range []*uint32{&h.inodes, &h.dirents, &h.slots, &h.contents, &h.links, &h.whiteouts, &h.foreign} {
		*n = le.Uint32(b[12+4*i:])
	}
	h.strings, h.xattrs = le.Uint64(b[40:]), le.Uint64(b[48:])
	if h.inodes == 0 {
		return header{}, fmt.Errorf("%w: no root directory", ErrCorrupt)
	}
	if h.slots&(h.slots-1) != 0 {
		return header{}, fmt.Errorf("%w: %d hash slots, want a power of two", ErrCorrupt, h.slots)
	}
	return h, nil
}

// inode is one record of the inodes section. What a, b and c hold depends on
// the type:
//
//	directory      a, b: first dirent and their number   c: parent
//	regular file   a: number of its content + 1, 0: none
//	symbolic link  a: offset of its target in strings (its length is size)
//	device         a, b: major, minor
//	nlink > 1      c: first of its nlink records in links (no directory)
type inode struct {
	mode, uid, gid, nlink uint32
	size                  int64
	mtime                 Time
	a, b, c               uint32
	name                  uint32 // dirent of its first name; the root has none
	xattrs                uint32 // offset of its set + 1, 0: none
	flags                 uint32
}

func (n *inode) put(b []byte) {
	le := binary.LittleEndian
	_ = b[inodeSize-1]
	le.PutUint32(b[0:], n.mode)
	le.PutUint32(b[4:], n.uid)
	le.PutUint32(b[8:], n.gid)
	le.PutUint32(b[12:], n.nlink)
	le.PutUint64(b[16:], uint64(n.size))
	le.PutUint64(b[24:], uint64(n.mtime.Sec))
	le.PutUint32(b[32:], n.mtime.Nsec)
	le.PutUint32(b[36:], n.a)
	le.PutUint32(b[40:], n.b)
	le.PutUint32(b[44:], n.c)
	le.PutUint32(b[48:], n.name)
	le.PutUint32(b[52:], n.xattrs)
	le.PutUint32(b[56:], n.flags)
}

func getInode(b []byte) inode {
	le := binary.LittleEndian
	_ = b[inodeSize-1]
	return inode{
		mode: le.Uint32(b[0:]), uid: le.Uint32(b[4:]), gid: le.Uint32(b[8:]), nlink: le.Uint32(b[12:]),
		size:  int64(le.Uint64(b[16:])),
		mtime: Time{Sec: int64(le.Uint64(b[24:])), Nsec: le.Uint32(b[32:])},
		a:     le.Uint32(b[36:]), b: le.Uint32(b[40:]), c: le.Uint32(b[44:]),
		name: le.Uint32(b[48:]), xattrs: le.Uint32(b[52:]), flags: le.Uint32(b[56:]),
	}
}

func (n *inode) isDir() bool { return n.mode&ModeType == ModeDir }

// dirent is one record of the dirents section.
type dirent struct {
	name, size uint32 // offset and length in strings
	dir, ino   Ino
}

func (d *dirent) put(b []byte) {
	le := binary.LittleEndian
	_ = b[direntSize-1]
	le.PutUint32(b[0:], d.name)
	le.PutUint32(b[4:], d.size)
	le.PutUint32(b[8:], uint32(d.dir))
	le.PutUint32(b[12:], uint32(d.ino))
}

func getDirent(b []byte) dirent {
	le := binary.LittleEndian
	_ = b[direntSize-1]
	return dirent{name: le.Uint32(b[0:]), size: le.Uint32(b[4:]), dir: Ino(le.Uint32(b[8:])), ino: Ino(le.Uint32(b[12:]))}
}

// probes bounds the search in the hash table: a name that found no slot within
// it is found by binary search in its directory. So no set of names, however
// hostile, makes a lookup slow, and no damage makes it endless.
const probes = 16

// nameHash mixes a directory number and a name (multiply and fold, eight bytes
// at a time).
func nameHash(dir Ino, name string) uint64 {
	const k0, k1 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93
	h := (uint64(dir)+1)*k0 ^ uint64(len(name))
	for ; len(name) >= 8; name = name[8:] {
		w := uint64(name[0]) | uint64(name[1])<<8 | uint64(name[2])<<16 | uint64(name[3])<<24 |
			uint64(name[4])<<32 | uint64(name[5])<<40 | uint64(name[6])<<48 | uint64(name[7])<<56
		h = (h ^ w) * k1
		h ^= h >> 32
	}
	var w uint64
	for i := range len(name) {
		w |= uint64(name[i]) << (8 * i)
	}
	h = (h ^ w) * k1
	h ^= h >> 29
	h *= k0
	return h ^ h>>32
}
