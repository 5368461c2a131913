package tarindex

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
)

// An encoder collects the records of one index. The caller walks its tree
// breadth first, the children of a directory sorted by name, so that what it
// adds is already in the order of the file:
//
//	e.startDir(d)               for every directory d, in the order of numbers
//	  e.add(record)             a new inode gets the next number
//	  e.name(d, name, ino)      its name; a further name of a known inode alike
//	e.encode()
type encoder struct {
	inodes    []inode
	dirents   []dirent
	contents  []contentRecord
	whiteouts []nameRecord
	foreign   []foreignRecord
	strings   []byte
	xattrs    []byte

	stringAt  map[string]uint32
	contentAt map[Hash]uint32
	xattrsAt  map[string]uint32
}

type contentRecord struct {
	hash Hash
	size int64
}

// A nameRecord is a name in a directory that is no dirent.
type nameRecord struct {
	dir        Ino
	name, size uint32
}

type foreignRecord struct {
	nameRecord
	target, targetSize uint32
}

var errTooBig = errors.New("the index needs more than 4 GiB in one section")

func newEncoder(inodes int) *encoder {
	return &encoder{
		inodes:    make([]inode, 0, inodes),
		dirents:   make([]dirent, 0, inodes),
		stringAt:  make(map[string]uint32, inodes),
		contentAt: make(map[Hash]uint32),
		xattrsAt:  make(map[string]uint32),
	}
}

// add appends an inode and returns its number. Its links to names are set by
// startDir and name, its nlink by encode.
func (e *encoder) add(n inode) Ino {
	n.nlink = 0
	e.inodes = append(e.inodes, n)
	return Ino(len(e.inodes) - 1)
}

// startDir begins the names of the directory d.
func (e *encoder) startDir(d Ino) { e.inodes[d].a = uint32(len(e.dirents)) }

// name adds a name to the directory started last.
func (e *encoder) name(dir Ino, name string, i Ino) {
	n := &e.inodes[i]
	if n.nlink == 0 {
		n.name = uint32(len(e.dirents))
	}
	n.nlink++
	if n.isDir() {
		n.c = uint32(dir)
	}
	e.inodes[dir].b++
	e.dirents = append(e.dirents, dirent{name: e.str(name), size: uint32(len(name)), dir: dir, ino: i})
}

// whiteout adds a whiteout to the directory dir.
func (e *encoder) whiteout(dir Ino, name string) {
	e.whiteouts = append(e.whiteouts, nameRecord{dir: dir, name: e.str(name), size: uint32(len(name))})
}

// foreignLink adds a hard link to a target that the tree does not have.
func (e *encoder) foreignLink(dir Ino, name, target string) {
	e.foreign = append(e.foreign, foreignRecord{
		nameRecord: nameRecord{dir: dir, name: e.str(name), size: uint32(len(name))},
		target:     e.str(target), targetSize: uint32(len(target)),
	})
}

// str interns s and returns its offset.
func (e *encoder) str(s string) uint32 {
	off, ok := e.stringAt[s]
	if !ok {
		off = uint32(len(e.strings))
		e.strings = append(e.strings, s...)
		e.stringAt[s] = off
	}
	return off
}

// content returns the number of a content plus one, as inode.a wants it.
func (e *encoder) content(h Hash, size int64) uint32 {
	n, ok := e.contentAt[h]
	if !ok {
		e.contents = append(e.contents, contentRecord{h, size})
		n = uint32(len(e.contents))
		e.contentAt[h] = n
	}
	return n
}

// xattrSet stores an encoded set (appendXattrSet) and returns its reference.
func (e *encoder) xattrSet(set []byte) uint32 {
	if len(set) == 0 {
		return 0
	}
	ref, ok := e.xattrsAt[string(set)]
	if !ok {
		ref = uint32(len(e.xattrs)) + 1
		e.xattrs = append(e.xattrs, set...)
		e.xattrsAt[string(set)] = ref
	}
	return ref
}

// encode returns the bytes of the index file.
func (e *encoder) encode() ([]byte, error) {
	links := e.link()
	slots := 0
	if n := len(e.dirents); n > 0 {
		slots = 1 << bits.Len(uint(n+n/3))
	}
	for _, n := range []int{len(e.inodes), len(e.dirents), slots, len(e.strings), len(e.xattrs)} {
		if uint64(n) >= math.MaxUint32 {
			return nil, errTooBig
		}
	}
	hdr := header{
		inodes: uint32(len(e.inodes)), dirents: uint32(len(e.dirents)), slots: uint32(slots),
		contents: uint32(len(e.contents)), links: uint32(len(links)),
		whiteouts: uint32(len(e.whiteouts)), foreign: uint32(len(e.foreign)),
		strings: uint64(len(e.strings)), xattrs: uint64(len(e.xattrs)),
	}
	total := uint64(headerSize)
	for _, n := range hdr.sizes() {
		total += n
	}
	data := make([]byte, headerSize, total)
	hdr.put(data)

	le := binary.LittleEndian
	var rec [inodeSize]byte
	for i := range e.inodes {
		e.inodes[i].put(rec[:])
		data = append(data, rec[:]...)
	}
	for i := range e.dirents {
		e.dirents[i].put(rec[:direntSize])
		data = append(data, rec[:direntSize]...)
	}
	table := data[len(data):][:slots*slotSize]
	data = data[:len(data)+len(table)]
	e.fillTable(table)
	for _, c := range e.contents {
		data = le.AppendUint64(append(data, c.hash[:]...), uint64(c.size))
	}
	for _, d := range links {
		data = le.AppendUint32(data, d)
	}
	for _, w := range e.whiteouts {
		data = w.append(data)
	}
	for _, f := range e.foreign {
		data = f.nameRecord.append(data)
		data = le.AppendUint32(le.AppendUint32(data, f.target), f.targetSize)
	}
	data = append(append(data, e.strings...), e.xattrs...)

	s := sum(data)
	copy(data[sumOffset:], s[:])
	return data, nil
}

func (r nameRecord) append(b []byte) []byte {
	le := binary.LittleEndian
	return le.AppendUint32(le.AppendUint32(le.AppendUint32(b, uint32(r.dir)), r.name), r.size)
}

// link turns the counts of names into link counts, and returns the links
// section.
func (e *encoder) link() []uint32 {
	e.inodes[Root].nlink = 1
	total := uint32(0)
	for i := range e.inodes {
		n := &e.inodes[i]
		switch {
		case n.isDir():
			n.nlink = 2
		case n.nlink > 1:
			n.c = total
			total += n.nlink
		}
	}
	links := make([]uint32, total)
	filled := make(map[Ino]uint32)
	for k, d := range e.dirents {
		n := &e.inodes[d.ino]
		switch {
		case n.isDir():
			e.inodes[d.dir].nlink++
		case n.nlink > 1:
			links[n.c+filled[d.ino]] = uint32(k)
			filled[d.ino]++
		}
	}
	return links
}

// fillTable enters all dirents into the (zeroed) hash table.
func (e *encoder) fillTable(table []byte) {
	mask := uint64(len(table)/slotSize - 1)
	for k, d := range e.dirents {
		h := nameHash(d.dir, string(e.strings[d.name:d.name+d.size]))
		for p := range uint64(probes) {
			slot := table[((h+p)&mask)*slotSize:][:slotSize]
			if binary.LittleEndian.Uint64(slot) == 0 {
				binary.LittleEndian.PutUint64(slot, h>>32<<32|uint64(k+1))
				break
			}
		}
	}
}

// write encodes the index and writes it to w.
func (e *encoder) write(w io.Writer) error {
	data, err := e.encode()
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	return nil
}

// Empty returns the index of the empty chain: a root directory 0755 0:0 with
// mtime 0, and nothing in it.
func Empty() *Index {
	e := newEncoder(1)
	e.startDir(e.add(defaultDir()))
	data, err := e.encode()
	if err != nil {
		panic(err) // one record always fits
	}
	x, err := Parse(data)
	if err != nil {
		panic(err) // what encode writes, Parse reads
	}
	return x
}

// defaultDir is a directory that nothing describes.
func defaultDir() inode { return inode{mode: ModeDir | 0o755} }
