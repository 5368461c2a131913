package tarindex

import "fmt"

// A walk goes through the names of one directory in their order, and checks
// what a walk over a whole tree relies on to end: the names are sorted, and
// every directory has one name, in the directory that it calls its parent.
type walk struct {
	dir       source
	pos, end  uint32 // dirents
	name      string // of the entry at pos
	at        source // its inode
	last      string // the name before it
	malformed string
}

func newWalk(dir source) walk {
	w := walk{dir: dir}
	n, ok := dir.x.dir(dir.i)
	if !ok || uint64(n.a)+uint64(n.b) > uint64(dir.x.hdr.dirents) {
		w.malformed = "is no directory or has entries outside the index"
		return w
	}
	w.pos, w.end = n.a, n.a+n.b
	return w
}

// peek sets name and at to the entry at the position; false at the end.
func (w *walk) peek() (bool, error) {
	if w.malformed == "" && w.pos < w.end {
		w.look()
	}
	if w.malformed != "" {
		return false, fmt.Errorf("%w: inode %d %s", ErrCorrupt, w.dir.i, w.malformed)
	}
	return w.pos < w.end, nil
}

func (w *walk) look() {
	x := w.dir.x
	d, _ := x.dirent(w.pos)
	n, ok := x.inode(d.ino)
	w.name = x.str(d.name, d.size)
	w.at = source{x, d.ino}
	switch {
	case !ok || d.dir != w.dir.i:
		w.malformed = fmt.Sprintf("has an entry %q of inode %d in directory %d", w.name, d.ino, d.dir)
	case w.name <= w.last:
		w.malformed = fmt.Sprintf("has the names %q, %q in this order", w.last, w.name)
	case n.isDir() && (d.ino == Root || n.name != w.pos || Ino(n.c) != w.dir.i):
		w.malformed = fmt.Sprintf("has an entry %q of a directory that is elsewhere", w.name)
	}
}

func (w *walk) next() {
	w.last = w.name
	w.pos++
}
