package tarindex

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Verify checks the whole index: its checksum, that nothing refers to what is
// not there, and that the names make a tree which is numbered, counted and
// sorted as the format demands. The error wraps ErrCorrupt.
func (x *Index) Verify() error {
	if sum(x.data) != [32]byte(x.data[sumOffset:headerSize]) {
		return fmt.Errorf("%w: wrong checksum", ErrCorrupt)
	}
	v := verifier{x: x, names: make([]uint32, x.Len()), subdirs: make([]uint32, x.Len())}
	for _, check := range []func() error{v.tree, v.inodes, v.links, v.table, v.extras} {
		if err := check(); err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	return nil
}

type verifier struct {
	x       *Index
	names   []uint32 // names met, by inode
	subdirs []uint32
}

// tree walks the directories in the order of their numbers, which is that of
// the dirents too.
func (v *verifier) tree() error {
	x := v.x
	next, entry := Ino(1), uint32(0)
	for d := Root; uint32(d) < x.hdr.inodes; d++ {
		if d >= next {
			return fmt.Errorf("inode %d has no name", d)
		}
		n, _ := x.inode(d)
		if !n.isDir() {
			continue
		}
		if n.a != entry {
			return fmt.Errorf("the entries of directory %d begin at %d, want %d", d, n.a, entry)
		}
		w := newWalk(source{x, d})
		for ; ; w.next() {
			more, err := w.peek()
			if err != nil {
				return err
			}
			if !more {
				break
			}
			if !validName(w.name) {
				return fmt.Errorf("directory %d has the impossible name %q", d, w.name)
			}
			if w.at.i > next {
				return fmt.Errorf("inode %d comes before inode %d", w.at.i, next)
			}
			if w.at.i == next {
				next++
				if c, _ := x.inode(w.at.i); c.name != w.pos {
					return fmt.Errorf("inode %d has its first name at %d, want %d", w.at.i, c.name, w.pos)
				}
			}
			v.names[w.at.i]++
			if w.at.isDir() {
				v.subdirs[d]++
			}
		}
		entry += n.b
	}
	if entry != x.hdr.dirents {
		return fmt.Errorf("%d entries are in no directory", x.hdr.dirents-entry)
	}
	return nil
}

func (v *verifier) inodes() error {
	x := v.x
	for i := Root; uint32(i) < x.hdr.inodes; i++ {
		n, _ := x.inode(i)
		if n.isDir() {
			if want := 2 + v.subdirs[i]; n.nlink != want {
				return fmt.Errorf("directory %d has %d links, want %d", i, n.nlink, want)
			}
		} else if n.nlink != v.names[i] {
			return fmt.Errorf("inode %d has %d links and %d names", i, n.nlink, v.names[i])
		}
		if n.mtime.Nsec >= 1e9 {
			return fmt.Errorf("inode %d has the nanoseconds %d", i, n.mtime.Nsec)
		}
		if err := v.references(i, n); err != nil {
			return err
		}
	}
	return nil
}

// references checks what depends on the type.
func (v *verifier) references(i Ino, n inode) error {
	x := v.x
	switch n.mode & ModeType {
	case ModeRegular:
		_, size, ok := x.content(n.a - 1)
		if n.size < 0 || (n.a == 0) != (n.size == 0) || n.a != 0 && (!ok || size != n.size) {
			return fmt.Errorf("file %d of %d bytes has no such content", i, n.size)
		}
	case ModeSymlink:
		if t := x.Readlink(i); t == "" || int64(len(t)) != n.size || strings.IndexByte(t, 0) >= 0 {
			return fmt.Errorf("symbolic link %d has no target of %d bytes", i, n.size)
		}
	case ModeDir, ModeChar, ModeBlock, ModeFIFO, ModeSocket:
		if n.size != 0 {
			return fmt.Errorf("inode %d is no file and has %d bytes", i, n.size)
		}
	default:
		return fmt.Errorf("inode %d has the mode %o", i, n.mode)
	}
	return v.xattrs(i, n)
}

func (v *verifier) xattrs(i Ino, n inode) error {
	set, last := v.x.xattrSet(n.xattrs), ""
	for set.next() {
		if set.name <= last {
			return fmt.Errorf("inode %d has the extended attribute %q after %q", i, set.name, last)
		}
		last = set.name
	}
	if set.left != 0 || n.xattrs != 0 && last == "" {
		return fmt.Errorf("inode %d has extended attributes outside the index", i)
	}
	return nil
}

func (v *verifier) links() error {
	x := v.x
	next := uint32(0)
	for i := Root; uint32(i) < x.hdr.inodes; i++ {
		n, _ := x.inode(i)
		if n.isDir() || n.nlink < 2 {
			continue
		}
		if n.c != next || uint64(next)+uint64(n.nlink) > uint64(x.hdr.links) {
			return fmt.Errorf("inode %d has its names at %d of %d, want %d", i, n.c, x.hdr.links, next)
		}
		for k := range n.nlink {
			at := binary.LittleEndian.Uint32(x.links[uint64(n.c+k)*linkSize:])
			if d, ok := x.dirent(at); !ok || d.ino != i || k == 0 && at != n.name {
				return fmt.Errorf("name %d of inode %d is another's", k, i)
			}
			if k > 0 && at <= binary.LittleEndian.Uint32(x.links[uint64(n.c+k-1)*linkSize:]) {
				return fmt.Errorf("the names of inode %d are not sorted", i)
			}
		}
		next += n.nlink
	}
	if next != x.hdr.links {
		return fmt.Errorf("%d links are of no inode", x.hdr.links-next)
	}
	return nil
}

// table checks that every name is found.
func (v *verifier) table() error {
	for k := range v.x.hdr.dirents {
		d, _ := v.x.dirent(k)
		name := v.x.str(d.name, d.size)
		if i, ok := v.x.Lookup(d.dir, name); !ok || i != d.ino {
			return fmt.Errorf("the name %q of directory %d is not found", name, d.dir)
		}
	}
	return nil
}

// extras checks what only a layer's own index has.
func (v *verifier) extras() error {
	x := v.x
	for _, s := range []struct {
		what    string
		section []byte
		size    int
	}{{"whiteout", x.whiteouts, whiteoutSize}, {"link", x.foreign, foreignSize}} {
		last := nameAt{}
		for b := s.section; len(b) > 0; b = b[s.size:] {
			le := binary.LittleEndian
			at := nameAt{Ino(le.Uint32(b)), x.str(le.Uint32(b[4:]), le.Uint32(b[8:]))}
			if _, ok := x.dir(at.dir); !ok || !validName(at.name) {
				return fmt.Errorf("%s %q in inode %d", s.what, at.name, at.dir)
			}
			if at.dir < last.dir || at.dir == last.dir && at.name <= last.name {
				return fmt.Errorf("%s %q in directory %d is not in its place", s.what, at.name, at.dir)
			}
			last = at
			if s.size == foreignSize && x.str(le.Uint32(b[12:]), le.Uint32(b[16:])) == "" {
				return fmt.Errorf("link %q in directory %d has no target", at.name, at.dir)
			}
		}
	}
	return nil
}

type nameAt struct {
	dir  Ino
	name string
}
