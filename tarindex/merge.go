package tarindex

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Merge writes the index of a chain: parent, the merged index of the layers
// below (nil for none), with layer, a layer's own index, applied on top.
//
// Whiteouts and opaque marks hide names of parent and never names of layer. A
// directory over a directory merges; anything else over anything hides it. A
// hard link whose target layer does not have is resolved in parent as it is
// before the whiteouts; Index.Unresolved has those that cannot be.
//
// The error wraps ErrCorrupt when an input is too damaged to be walked; Verify
// is the full check.
func Merge(parent, layer *Index, w io.Writer) error {
	if parent == nil {
		parent = Empty()
	}
	m := merger{
		parent:  parent,
		layer:   layer,
		out:     newEncoder(parent.Len() + layer.Len()),
		numbers: make(map[source]Ino),
		targets: make(map[Ino]bool),
	}
	m.findTargets()
	if err := m.addDir(source{parent, Root}, source{layer, Root}); err != nil {
		return err
	}
	for len(m.queue) > 0 {
		d := m.queue[0]
		m.queue = m.queue[1:]
		if err := m.mergeDir(d); err != nil {
			return err
		}
	}
	return m.out.write(w)
}

// A source is an inode of one of the two inputs; the zero source is none.
type source struct {
	x *Index
	i Ino
}

// A mergedDir is a directory of the result, and where its names come from.
type mergedDir struct {
	ino          Ino
	lower, upper source
}

// An upperName is a name that the layer gives to a directory.
type upperName struct {
	name   string
	ino    Ino
	target string // a link to this path of a lower layer, instead of ino
}

type merger struct {
	parent, layer *Index
	out           *encoder
	queue         []mergedDir    // numbered directories whose names are to come
	numbers       map[source]Ino // of inodes that can be met again
	targets       map[Ino]bool   // inodes of parent that links of layer resolve to

	// Scratch of mergeDir.
	hidden []string
	upper  []upperName
}

// findTargets notes the inodes of parent which get a new name from a link of
// the layer.
func (m *merger) findTargets() {
	for _, target := range m.layer.Unresolved() {
		if i, ok := m.parent.resolve(target); ok {
			m.targets[i] = true
		}
	}
}

// resolve finds the target of a hard link: a path with single slashes and no
// dots; symbolic links are not followed, a directory is no target.
func (x *Index) resolve(path string) (Ino, bool) {
	i := Root
	for name := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		below, ok := x.Lookup(i, name)
		if !ok {
			return 0, false
		}
		i = below
	}
	return i, !x.Attr(i).IsDir()
}

func (m *merger) mergeDir(d mergedDir) error {
	m.out.startDir(d.ino)
	if err := m.gatherUpper(d); err != nil {
		return err
	}
	lower := walk{}
	if d.lower.ok() && !d.opaque() {
		lower = newWalk(d.lower)
	}
	hidden, upper := m.hidden, m.upper
	for {
		more, err := lower.peek()
		if err != nil {
			return err
		}
		if !more && len(upper) == 0 {
			return nil
		}
		name := lower.name
		if !more || len(upper) > 0 && upper[0].name < name {
			name = upper[0].name
		}
		var low source
		if more && lower.name == name {
			low = lower.at
			lower.next()
			for len(hidden) > 0 && hidden[0] < name {
				hidden = hidden[1:]
			}
			if len(hidden) > 0 && hidden[0] == name {
				low = source{}
			}
		}
		var up *upperName
		if len(upper) > 0 && upper[0].name == name {
			up, upper = &upper[0], upper[1:]
		}
		if err := m.place(d.ino, name, low, up); err != nil {
			return err
		}
	}
}

// gatherUpper collects what the layer has in d, both sorted by name.
func (m *merger) gatherUpper(d mergedDir) error {
	m.hidden, m.upper = m.hidden[:0], m.upper[:0]
	if !d.upper.ok() {
		return nil
	}
	for w := newWalk(d.upper); ; w.next() {
		more, err := w.peek()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		m.upper = append(m.upper, upperName{name: w.name, ino: w.at.i})
	}
	links := len(m.upper)
	for name, target := range m.layer.ForeignLinks(d.upper.i) {
		if target == "" {
			return fmt.Errorf("%w: directory %d has the link %q to nothing", ErrCorrupt, d.upper.i, name)
		}
		m.upper = append(m.upper, upperName{name: name, target: target})
	}
	if len(m.upper) > links {
		slices.SortFunc(m.upper, func(a, b upperName) int { return strings.Compare(a.name, b.name) })
		for k := range m.upper {
			if m.upper[k].name == "" || k > 0 && m.upper[k].name == m.upper[k-1].name {
				return fmt.Errorf("%w: directory %d has the name %q twice", ErrCorrupt, d.upper.i, m.upper[k].name)
			}
		}
	}
	for name := range m.layer.Whiteouts(d.upper.i) {
		m.hidden = append(m.hidden, name)
	}
	return nil
}

// place decides what name is in the directory dir, given what the lower layers
// (after whiteouts) and the layer have under it.
func (m *merger) place(dir Ino, name string, low source, up *upperName) error {
	switch {
	case up == nil:
	case up.target != "":
		if i, ok := m.parent.resolve(up.target); ok {
			return m.addName(dir, name, source{m.parent, i})
		}
		m.out.foreignLink(dir, name, up.target)
	default:
		s := source{m.layer, up.ino}
		if !s.isDir() {
			return m.addName(dir, name, s)
		}
		below := low
		if !low.isDir() {
			below = source{}
		}
		if !m.layer.Phantom(up.ino) || below.ok() {
			return m.addNamedDir(dir, name, below, s)
		}
	}
	switch {
	case !low.ok():
		return nil
	case low.isDir():
		return m.addNamedDir(dir, name, low, source{})
	default:
		return m.addName(dir, name, low)
	}
}

// addName gives name to the inode s, which is no directory.
func (m *merger) addName(dir Ino, name string, s source) error {
	n, _ := s.x.inode(s.i)
	again := n.nlink > 1 || s.x == m.parent && m.targets[s.i]
	if again {
		if i, ok := m.numbers[s]; ok {
			m.out.name(dir, name, i)
			return nil
		}
	}
	i, err := m.copyInode(s)
	if err != nil {
		return err
	}
	if again {
		m.numbers[s] = i
	}
	m.out.name(dir, name, i)
	return nil
}

func (m *merger) addNamedDir(dir Ino, name string, lower, upper source) error {
	i := Ino(len(m.out.inodes))
	if err := m.addDir(lower, upper); err != nil {
		return err
	}
	m.out.name(dir, name, i)
	return nil
}

// addDir adds a directory with the attributes of the upper one. One that has
// no header in the layer has those of the lower one.
func (m *merger) addDir(lower, upper source) error {
	attr := upper
	if !upper.ok() || lower.ok() && upper.x.Implied(upper.i) {
		attr = lower
	}
	i, err := m.copyInode(attr)
	if err != nil {
		return err
	}
	m.queue = append(m.queue, mergedDir{ino: i, lower: lower, upper: upper})
	return nil
}

// copyInode adds the inode s to the result, with all that its record refers to.
func (m *merger) copyInode(s source) (Ino, error) {
	n, ok := s.x.inode(s.i)
	if !ok {
		return 0, fmt.Errorf("%w: no inode %d", ErrCorrupt, s.i)
	}
	out := inode{mode: n.mode, uid: n.uid, gid: n.gid, size: n.size, mtime: n.mtime}
	switch n.mode & ModeType {
	case ModeRegular:
		if n.a != 0 {
			h, size, ok := s.x.content(n.a - 1)
			if !ok {
				return 0, fmt.Errorf("%w: inode %d has no content", ErrCorrupt, s.i)
			}
			out.a = m.out.content(h, size)
		}
	case ModeSymlink:
		out.a = m.out.str(s.x.Readlink(s.i))
	case ModeChar, ModeBlock:
		out.a, out.b = n.a, n.b
	}
	out.xattrs = m.out.xattrSet(s.x.rawXattrs(&n))
	return m.out.add(out), nil
}

func (s source) ok() bool { return s.x != nil }

func (s source) isDir() bool {
	if !s.ok() {
		return false
	}
	_, ok := s.x.dir(s.i)
	return ok
}

// opaque reports whether the layer hides what the lower layers have in d.
func (d *mergedDir) opaque() bool { return d.upper.ok() && d.upper.x.Opaque(d.upper.i) }
