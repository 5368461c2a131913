package unionfs

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// An object is what an id or a name leads to: a node, or with no node an inode
// of the lower that nothing has happened to.
type object struct {
	n   *node
	low tarindex.Ino
}

func (o object) id() uint64 {
	if o.n != nil {
		return o.n.id
	}
	return lowerID(o.low)
}

// is reports whether both are the same object.
func (o object) is(p object) bool { return o.id() == p.id() }

func (f *FS) meta(o object) meta {
	if o.n != nil {
		return o.n.meta
	}
	return lowerMeta(f.lower.Attr(o.low))
}

// lowerPart returns the inode of the lower that o is, or was copied up from, or
// is merged with.
func (o object) lowerPart() (tarindex.Ino, bool) {
	if o.n != nil {
		return o.n.lowIno()
	}
	return o.low, true
}

// object returns what id stands for; ESTALE if it stands for nothing.
func (f *FS) object(id uint64) (object, error) {
	if n := f.table.get(id); n != nil {
		return object{n: n}, nil
	}
	if id == 0 || id > uint64(len(f.lowerRefs)) {
		return object{}, syscall.ESTALE
	}
	return object{low: tarindex.Ino(id - 1)}, nil
}

// present returns o with the node that it may have got since it was found.
func (f *FS) present(o object) object {
	if o.n == nil {
		o.n = f.table.get(lowerID(o.low))
	}
	return o
}

// directory returns the directory that id stands for.
func (f *FS) directory(id uint64) (object, error) {
	o, err := f.object(id)
	if err == nil && !f.meta(o).isDir() {
		err = syscall.ENOTDIR
	}
	return o, err
}

// child finds name in the directory d. Names that are not there are no error.
func (f *FS) child(d object, name string) (object, bool, error) {
	if d.n != nil {
		if f.removed(d.n) {
			return object{}, false, nil
		}
		if err := f.load(d.n); err != nil {
			return object{}, false, err
		}
		if e, ok := d.n.dir.entries[name]; ok {
			return object{n: e.n}, e.n != nil, nil
		}
	}
	if low, ok := d.lowerPart(); ok {
		if i, ok := f.lower.Lookup(low, name); ok {
			return object{low: i}, true, nil
		}
	}
	return object{}, false, nil
}

// parent returns the directory that the directory d is in.
func (f *FS) parent(d object) (object, error) {
	if d.n != nil && d.n != f.root {
		p, ok := f.table.place(d.n)
		if !ok {
			return object{}, syscall.ENOENT
		}
		return object{n: p.dir}, nil
	}
	i, _ := d.lowerPart()
	return f.object(lowerID(f.lower.Parent(i)))
}

// within reports whether the directory d is top or somewhere below it.
func (f *FS) within(d, top object) (bool, error) {
	for !d.is(top) {
		if d.id() == RootID {
			return false, nil
		}
		var err error
		if d, err = f.parent(d); err != nil {
			return false, err
		}
	}
	return true, nil
}

// checkName refuses what can be no name of a directory entry.
func checkName(name string) error {
	switch {
	case len(name) > unix.NAME_MAX:
		return syscall.ENAMETOOLONG
	case name == "":
		return syscall.ENOENT
	}
	for i := range len(name) {
		if name[i] == '/' || name[i] == 0 {
			return syscall.EINVAL
		}
	}
	return nil
}
