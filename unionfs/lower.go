package unionfs

import (
	"fmt"

	"github.com/layerfs/layerfs/tarindex"
)

// What became of the names of the lower.

// A home is where a name of a lower inode is.
type home struct {
	dir tarindex.Ino
	pos uint32
}

// findHomes turns the index around: one name of every lower inode. It is called
// once, by the first change.
func (f *FS) findHomes() []home {
	homes := make([]home, f.lower.Len())
	for d := range f.lower.Len() {
		dir := tarindex.Ino(d)
		for pos := range f.lower.Children(dir) {
			_, i := f.lower.Child(dir, pos)
			homes[i] = home{dir, uint32(pos)}
		}
	}
	return homes
}

// lowerNames returns all names of a lower inode.
func (f *FS) lowerNames(i tarindex.Ino) []tarindex.Link {
	if links := f.lower.Links(i); links != nil {
		return links
	}
	h := f.homes()[i]
	name, _ := f.lower.Child(h.dir, int(h.pos))
	return []tarindex.Link{{Dir: h.dir, Name: name}}
}

// lowerDirectory tells what became of the lower directory i: its node, if it
// has an upper part; false if it is hidden.
func (f *FS) lowerDirectory(i tarindex.Ino) (object, bool, error) {
	if n := f.table.get(lowerID(i)); n != nil {
		return object{n: n}, !f.removed(n), nil
	}
	if i == tarindex.Root {
		return object{low: i}, true, nil
	}
	parent, ok, err := f.lowerDirectory(f.lower.Parent(i))
	if err != nil {
		return object{}, false, err
	}
	hidden := !ok
	if ok && parent.n != nil {
		if hidden, err = f.hides(parent.n, f.lowerNames(i)[0].Name); err != nil {
			return object{}, false, err
		}
	}
	if !hidden {
		return object{low: i}, true, nil
	}
	// Hidden at its own place, it may be upper there, which has just been loaded;
	// or it may have been renamed, to wherever.
	if f.table.get(lowerID(i)) == nil && f.moved && !f.movedKnown.Load() {
		if err := f.loadAll(f.root); err != nil {
			return object{}, false, err
		}
		f.movedKnown.Store(true)
	}
	if n := f.table.get(lowerID(i)); n != nil {
		return object{n: n}, !f.removed(n), nil
	}
	return object{}, false, nil
}

// hides reports whether the upper part of the directory n hides the name that
// its lower part has.
func (f *FS) hides(n *node, name string) (bool, error) {
	if n.low < 0 {
		return true, nil
	}
	if err := f.load(n); err != nil {
		return false, err
	}
	_, ok := n.dir.entries[name]
	return ok, nil
}

// loadAll loads the directory n and all below it that have an upper part.
func (f *FS) loadAll(n *node) error {
	if err := f.load(n); err != nil {
		return err
	}
	for name, e := range n.dir.entries {
		if e.n == nil || !e.n.isDir() {
			continue
		}
		if err := f.loadAll(e.n); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	return nil
}

// visible returns the names under which a lower inode that is no directory can
// still be seen as such: neither removed nor in the upper.
func (f *FS) visible(i tarindex.Ino) ([]tarindex.Link, error) {
	var links []tarindex.Link
	for _, l := range f.lowerNames(i) {
		dir, ok, err := f.lowerDirectory(l.Dir)
		if err != nil {
			return nil, err
		}
		if ok && dir.n != nil {
			hidden, err := f.hides(dir.n, l.Name)
			if err != nil {
				return nil, err
			}
			ok = !hidden
		}
		if ok {
			links = append(links, l)
		}
	}
	return links, nil
}
