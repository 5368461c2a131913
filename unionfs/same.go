package unionfs

import (
	"bytes"
	"crypto/sha256"
	"io"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// same reports whether a layer need not say anything of o where the lower has
// base.
func (c *comparison) same(o object, base tarindex.Ino) (bool, error) {
	if intact, err := c.linksIntact(o, base); err != nil || !intact {
		if err == nil {
			err = c.forceLinks(o)
		}
		return false, err
	}
	if o.n == nil && o.low == base {
		return true, nil
	}
	f := c.f
	if f.lower.Attr(base).Nlink > 1 && !f.lower.Attr(base).IsDir() && o.id() != lowerID(base) {
		return false, nil // else it would be a link to the other names again
	}
	a, err := f.attr(o)
	if err != nil {
		return false, err
	}
	b, err := f.lowerAttr(object{low: base})
	if err != nil {
		return false, err
	}
	if a.Mode != b.Mode || a.UID != b.UID || a.GID != b.GID || a.Size != b.Size || a.Mtime != b.Mtime ||
		a.Major != b.Major || a.Minor != b.Minor {
		return false, nil
	}
	xattrs, err := f.xattrsOf(o)
	if err != nil {
		return false, err
	}
	if !slices.EqualFunc(xattrs, sortXattrs(f.lower.Xattrs(base)), func(x, y tarindex.Xattr) bool {
		return x.Name == y.Name && bytes.Equal(x.Value, y.Value)
	}) {
		return false, nil
	}
	switch a.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		target, err := f.target(o)
		return target == f.lower.Readlink(base), err
	case unix.S_IFREG:
		return f.sameContent(o, a.Size, base)
	}
	return true, nil
}

// sameContent compares the content of the regular file o with that of base,
// which has the same size. The times of files are no evidence: a program may
// have set them.
func (f *FS) sameContent(o object, size int64, base tarindex.Ino) (bool, error) {
	want, _ := f.lower.Content(base)
	if size == 0 {
		return true, nil
	}
	if o.n == nil || o.n.backing == 0 || o.n.metacopy.Load() {
		if i, _ := o.lowerPart(); f.lower.Attr(i).Size == size {
			have, _ := f.lower.Content(i)
			return have == want, nil
		}
	}
	s, err := f.sourceOf(o)
	if err != nil {
		return false, err
	}
	defer s.release()
	h := sha256.New()
	if _, err := io.Copy(h, s.section(size)); err != nil {
		return false, err
	}
	return tarindex.Hash(h.Sum(nil)) == want, nil
}

// xattrsOf returns the extended attributes of o, sorted by name.
func (f *FS) xattrsOf(o object) ([]tarindex.Xattr, error) {
	names, err := f.xattrNames(o)
	if err != nil {
		return nil, err
	}
	xattrs := make([]tarindex.Xattr, 0, len(names))
	for _, name := range names {
		v, err := f.xattr(o, name)
		if err != nil {
			return nil, err
		}
		xattrs = append(xattrs, tarindex.Xattr{Name: name, Value: v})
	}
	return sortXattrs(xattrs), nil
}

func sortXattrs(xattrs []tarindex.Xattr) []tarindex.Xattr {
	slices.SortFunc(xattrs, func(x, y tarindex.Xattr) int { return strings.Compare(x.Name, y.Name) })
	return xattrs
}

// linksIntact reports whether all names of o are names that base has had all
// the time. If not, a layer must have every name of o.
func (c *comparison) linksIntact(o object, base tarindex.Ino) (bool, error) {
	names, err := c.links(o)
	if err != nil {
		return false, err
	}
	for _, l := range names {
		dir, err := c.base(l.dir)
		if err != nil {
			return false, err
		}
		if c.lookup(dir, l.name) != int64(base) {
			return false, nil
		}
	}
	return true, nil
}

// forceLinks has all other names of o visited.
func (c *comparison) forceLinks(o object) error {
	names, err := c.links(o)
	if err != nil {
		return err
	}
	for _, l := range names {
		for dir, name := l.dir, l.name; ; {
			if !slices.Contains(c.forced[dir.id()], name) {
				c.forced[dir.id()] = append(c.forced[dir.id()], name)
				c.forcedNames++
			}
			if dir.id() == RootID {
				break
			}
			if dir, name, err = c.f.nameOf(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// A linkName is one name in the union.
type linkName struct {
	dir  object
	name string
}

// links returns the names of o if it is no directory and has several.
func (c *comparison) links(o object) ([]linkName, error) {
	f := c.f
	var links []linkName
	switch {
	case f.meta(o).isDir():
	case o.n != nil:
		f.table.mu.RLock()
		for _, p := range o.n.places {
			links = append(links, linkName{object{n: p.dir}, p.name})
		}
		f.table.mu.RUnlock()
	case f.lower.Attr(o.low).Nlink > 1:
		names, err := f.visible(o.low)
		if err != nil {
			return nil, err
		}
		for _, l := range names {
			dir, _, err := f.lowerDirectory(l.Dir)
			if err != nil {
				return nil, err
			}
			links = append(links, linkName{dir, l.Name})
		}
	}
	if len(links) < 2 {
		return nil, nil
	}
	return links, nil
}

// base returns the lower directory that has the path which the directory d has
// in the union; -1: none.
func (c *comparison) base(d object) (int64, error) {
	if d.id() == RootID {
		return int64(tarindex.Root), nil
	}
	parent, name, err := c.f.nameOf(d)
	if err != nil {
		return -1, err
	}
	dir, err := c.base(parent)
	return c.lookup(dir, name), err
}

// nameOf returns where the directory d, not the root, is.
func (f *FS) nameOf(d object) (parent object, name string, err error) {
	if parent, err = f.parent(d); err != nil {
		return object{}, "", err
	}
	if d.n != nil {
		p, _ := f.table.place(d.n)
		return parent, p.name, nil
	}
	return parent, f.lowerNames(d.low)[0].Name, nil
}
