package unionfs

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/layerfs/layerfs/tarindex"
)

// ChangeKind says what happened to a path: its letter is what container engines
// print.
type ChangeKind byte

// The kinds of changes.
const (
	Added   ChangeKind = 'A' // the lower has no such name
	Changed ChangeKind = 'C' // it has, with other attributes or another content, target or links
	Deleted ChangeKind = 'D' // it has, and the union has not
)

// ErrChanging: the upper of another process (Options.ReadOnlyUpper) was changed
// while it was read, so that what was listed is there no more. Try again, with a
// new FS.
var ErrChanging = errors.New("it was changed while it was read; try again, or unmount it first")

// unchanged marks the directories above a change that are as in the lower.
const unchanged ChangeKind = 0

// A Change is one path that differs between the union and its lower.
type Change struct {
	Kind ChangeKind
	Path string // from the root: "/etc/passwd"; "/" is the root itself
}

// Changes calls yield for all that differs from the lower, a directory before
// what is in it and its names sorted by their bytes. Access and change times do
// not count, nor what was copied up and is as it was. A renamed directory is
// deleted at its old path, and added with all below it at its new one. Below a
// deleted directory nothing is said. An error of yield ends it and is returned.
func (f *FS) Changes(yield func(Change) error) error {
	found, err := f.compare()
	if err != nil {
		return err
	}
	for _, c := range found {
		if c.Kind == unchanged {
			continue
		}
		if err := yield(c.Change); err != nil {
			return err
		}
	}
	return nil
}

// A change is a Change and the object that has the path now (of a deleted one:
// nothing).
type change struct {
	Change
	o object
}

// compare lists the changes, and above each the unchanged directories that lead
// to it, but for the root.
func (f *FS) compare() ([]change, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.root == nil {
		return nil, nil
	}
	if err := f.loadAll(f.root); err != nil {
		return nil, f.changing(err)
	}
	c := comparison{f: f, forced: make(map[uint64][]string)}
	for {
		forced := c.forcedNames
		c.found, c.above = nil, nil
		if err := c.entry("/", object{n: f.root}, int64(tarindex.Root)); err != nil {
			return nil, f.changing(err)
		}
		if c.forcedNames == forced {
			return c.found, nil
		}
	}
}

// changing tells whether err says that a listed file is gone.
func (f *FS) changing(err error) error {
	if f.readOnly && (errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ESTALE)) {
		return fmt.Errorf("%w: %w", ErrChanging, err)
	}
	return err
}

// A comparison holds the union against the lower, path by path. It descends
// where the upper says something, for all else is the same.
//
// There is one exception. Hard links of a lower file, of which some have moved
// with a renamed directory, are one file in the union; in a layer they stay one
// only if the layer has all of them. Those that did not move are then forced:
// visited though the upper says nothing of them, and the walk is done again.
type comparison struct {
	f           *FS
	found       []change
	above       []change            // unchanged directories above, not yet in found
	forced      map[uint64][]string // names to visit, by the id of their directory
	forcedNames int
}

// add appends a change, behind the directories above it.
func (c *comparison) add(kind ChangeKind, path string, o object) {
	c.found = append(append(c.found, c.above...), change{Change{kind, path}, o})
	c.above = c.above[:0]
}

// entry compares the object o at path with what the lower has there: base, or
// nothing if base is negative.
func (c *comparison) entry(path string, o object, base int64) error {
	isDir := c.f.meta(o).isDir()
	same := false
	if base >= 0 {
		var err error
		if same, err = c.same(o, tarindex.Ino(base)); err != nil {
			return &pathError{path, err}
		}
	}
	switch {
	case base < 0:
		c.add(Added, path, o)
		if err := c.forceLinks(o); err != nil {
			return &pathError{path, err}
		}
	case !same:
		c.add(Changed, path, o)
	case isDir && path != "/":
		c.above = append(c.above, change{Change{unchanged, path}, o})
		defer func(depth int) { c.above = c.above[:min(depth, len(c.above))] }(len(c.above) - 1)
	}
	if !isDir {
		return nil
	}
	return c.directory(path, o, base)
}

// directory compares what is in the directory d with what is in base; nothing is
// in what is no directory.
func (c *comparison) directory(path string, d object, base int64) error {
	names, err := c.names(d, base)
	if err != nil {
		return &pathError{path, err}
	}
	if path != "/" {
		path += "/"
	}
	for _, name := range names {
		o, ok, err := c.f.child(d, name)
		if err != nil {
			return &pathError{path + name, err}
		}
		below := c.lookup(base, name)
		switch {
		case ok:
			if err := c.entry(path+name, o, below); err != nil {
				return err
			}
		case below >= 0:
			c.add(Deleted, path+name, object{})
		}
	}
	return nil
}

// names returns the names of d to look at, sorted: those that may differ from
// what base has.
func (c *comparison) names(d object, base int64) ([]string, error) {
	names := slices.Clone(c.forced[d.id()])
	low, ok := d.lowerPart()
	switch {
	case !ok || int64(low) != base:
		if err := c.f.names(d, 0, func(name string, _ object, _ uint64) bool {
			names = append(names, name)
			return true
		}); err != nil {
			return nil, err
		}
		if base >= 0 {
			for pos := range c.f.lower.Children(tarindex.Ino(base)) {
				name, _ := c.f.lower.Child(tarindex.Ino(base), pos)
				names = append(names, name)
			}
		}
	case d.n != nil:
		for name := range d.n.dir.entries {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// lookup finds name in the lower directory dir; -1: none.
func (c *comparison) lookup(dir int64, name string) int64 {
	if dir < 0 {
		return -1
	}
	if i, ok := c.f.lower.Lookup(tarindex.Ino(dir), name); ok {
		return int64(i)
	}
	return -1
}

// A pathError is an error about one path of the union.
type pathError struct {
	path string
	err  error
}

func (e *pathError) Error() string { return e.path + ": " + e.err.Error() }
func (e *pathError) Unwrap() error { return e.err }
