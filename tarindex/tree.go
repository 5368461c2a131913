package tarindex

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A tree is what the entries of one layer mean, as far as they have been read.
// It is made of nodes (inodes) and entries (names), both in slices and linked
// by their positions: a layer of 100,000 files is a handful of allocations.
//
// An entry that is replaced stays in its list with another node; a node that is
// replaced is merely reached by nothing any more.
type tree struct {
	nodes   []node
	entries []entry
	byName  map[nameKey]int32 // entry of a name
	hidden  map[nameKey]bool  // whiteouts
	limits  Limits
	strings int64 // bytes of names, link targets and attributes
	through int64 // directories looked up through symbolic links
	dead    int   // nodes that nothing reaches any more, at most; see compact
}

type nameKey struct {
	dir  int32
	name string
}

const none = -1

// A node is an inode, or a hard link whose target is not known yet (mode 0).
type node struct {
	inode          // attributes and flags; its references are not used
	up      int32  // directory: its parent
	first   int32  // directory: first entry
	content int32  // regular file: number of its content, or none
	hidden  int32  // directory: whiteouts in it
	target  string // symbolic link, or path of the target of the hard link
	xattrs  []byte // encoded set
}

type entry struct {
	name      string
	dir, node int32
	next      int32 // in the same directory
}

func newTree(l Limits) *tree {
	root := node{inode: defaultDir(), first: none, content: none}
	root.flags = flagImplied
	return &tree{
		nodes:  []node{root},
		byName: make(map[nameKey]int32),
		hidden: make(map[nameKey]bool),
		limits: l,
	}
}

// A nameError is an entry that has no place in the tree.
type nameError string

func (e nameError) Error() string { return string(e) }

// add appends a node and returns its number.
func (t *tree) add(n node) (int32, error) {
	if int64(len(t.nodes)) > t.limits.Entries { // the root is not counted
		return 0, t.limits.exceeded("entries", "more than %d files and directories")
	}
	t.strings += int64(len(n.target) + len(n.xattrs))
	t.nodes = append(t.nodes, n)
	return int32(len(t.nodes) - 1), t.checkStrings()
}

func (t *tree) checkStrings() error {
	if t.strings > t.limits.Names {
		return t.limits.exceeded("names", "names, link targets and extended attributes of more than %d bytes in all")
	}
	return nil
}

// lookup returns the node under name in dir, or none.
func (t *tree) lookup(dir int32, name string) int32 {
	if e, ok := t.byName[nameKey{dir, name}]; ok {
		return t.entries[e].node
	}
	return none
}

// set gives name in dir to the node n.
func (t *tree) set(dir int32, name string, n int32) error {
	key := nameKey{dir, name}
	if e, ok := t.byName[key]; ok {
		t.dead += t.weight(t.entries[e].node)
		t.entries[e].node = n
		return nil
	}
	name = strings.Clone(name) // not the whole path that it is cut from
	key.name = name
	t.strings += int64(len(name))
	t.byName[key] = int32(len(t.entries))
	t.entries = append(t.entries, entry{name: name, dir: dir, node: n, next: t.nodes[dir].first})
	t.nodes[dir].first = int32(len(t.entries) - 1)
	return t.checkStrings()
}

// put enters a node under a name. A directory over a directory replaces its
// attributes and keeps what is in it; all else replaces what was there.
func (t *tree) put(dir int32, name string, n node) error {
	if old := t.lookup(dir, name); old != none && n.isDir() && t.nodes[old].isDir() {
		return t.describe(old, n)
	}
	n.up, n.first = dir, none
	i, err := t.add(n)
	if err != nil {
		return err
	}
	return t.set(dir, name, i)
}

// describe gives the directory i the attributes of n.
func (t *tree) describe(i int32, n node) error {
	old := &t.nodes[i]
	n.up, n.first, n.hidden, n.flags = old.up, old.first, old.hidden, old.flags&flagOpaque
	t.strings += int64(len(n.xattrs)) - int64(len(old.xattrs))
	*old = n
	return t.checkStrings()
}

// link enters a hard link. Its target is what the stream has had under that
// path so far; else what it will have; else what a lower layer has.
func (t *tree) link(dir int32, name string, target []string) error {
	i, err := t.find(target)
	switch {
	case err != nil:
		return err
	case i == none || t.nodes[i].mode == 0 || t.nodes[i].flags&flagPhantom != 0:
	case t.nodes[i].isDir():
		return nameError("is a hard link to a directory")
	default:
		return t.set(dir, name, i)
	}
	// Cloned, because a lone name is not the string's own.
	return t.put(dir, name, node{target: strings.Clone(strings.Join(target, "/")), content: none})
}

// hide enters a whiteout.
func (t *tree) hide(dir int32, name string) error {
	if t.hidden[nameKey{dir, name}] {
		return nil
	}
	name = strings.Clone(name)
	t.strings += int64(len(name))
	t.hidden[nameKey{dir, name}] = true
	t.nodes[dir].hidden++
	return t.checkStrings()
}

// A walkMode says what a walk does where there is nothing.
type walkMode int

const (
	lookOnly    walkMode = iota // find the directory, or none
	forEntry                    // make the directories that entries imply
	forWhiteout                 // the same, but they are there only if a lower layer has them
)

// hopsMax is the number of symbolic links that one path may lead through, as
// in Linux.
const hopsMax = 40

// walk follows a path of directories from the root. Symbolic links of the same
// layer are followed, and lead nowhere but into the tree: the root is its own
// parent.
func (t *tree) walk(path []string, mode walkMode) (int32, error) {
	if int64(len(path)) > t.limits.Depth {
		return none, t.limits.exceeded("depth", "more than %d directories deep")
	}
	cur, hops, steps := int32(Root), 0, int64(0)
	t.touch(cur, mode)
	for len(path) > 0 {
		name := path[0]
		path = path[1:]
		if steps++; steps > t.limits.Depth {
			return none, t.limits.exceeded("depth", "more than %d directories deep")
		}
		if name == ".." {
			cur = t.nodes[cur].up
			continue
		}
		i := t.lookup(cur, name)
		switch {
		case i == none && mode == lookOnly:
			return none, nil
		case i == none:
			var err error
			if i, err = t.imply(cur, name, mode); err != nil {
				return none, err
			}
		case t.nodes[i].isDir():
			t.touch(i, mode)
		case t.nodes[i].mode&ModeType == ModeSymlink:
			if hops++; hops > hopsMax {
				return none, nameError("leads through too many symbolic links")
			}
			if strings.HasPrefix(t.nodes[i].target, "/") {
				cur = int32(Root)
			}
			path = append(splitTarget(t.nodes[i].target), path...)
			// Alone the way through links can be longer than what the stream says.
			if t.through += int64(len(path)) + 1; t.through > t.limits.Links {
				return none, t.limits.exceeded("links", "paths that lead through symbolic links to more than %d directories in all")
			}
			continue
		case mode == lookOnly:
			return none, nil
		default:
			return none, nameError(fmt.Sprintf("is below %q, which is no directory", name))
		}
		cur = i
	}
	return cur, nil
}

func splitTarget(target string) []string {
	parts := strings.Split(target, "/")
	return slices.DeleteFunc(parts, func(s string) bool { return s == "" || s == "." })
}

// imply makes a directory that has no header.
func (t *tree) imply(dir int32, name string, mode walkMode) (int32, error) {
	if !validName(name) {
		return none, nameError(fmt.Sprintf("needs a directory of the impossible name %.300q", name))
	}
	n := node{inode: defaultDir(), up: dir, first: none, content: none}
	n.flags = flagImplied
	if mode == forWhiteout {
		n.flags |= flagPhantom
	}
	i, err := t.add(n)
	if err != nil {
		return none, err
	}
	return i, t.set(dir, name, i)
}

// touch notes that the directory i has more than whiteouts in it.
func (t *tree) touch(i int32, mode walkMode) {
	if mode == forEntry {
		t.nodes[i].flags &^= flagPhantom
	}
}

// finish resolves the hard links whose target came later. Nothing is added or
// looked up after it.
func (t *tree) finish() error {
	for k := range t.entries {
		n, err := t.resolve(t.entries[k].node)
		if err != nil {
			return err
		}
		t.entries[k].node = n
	}
	t.byName = nil // the encoder needs its memory
	return nil
}

// What the field first of a hard link says while finish runs: none, later the
// node where it leads in the end. So every link is followed once, however long
// the chains are.
const onTheWay = -2

// resolve returns the node that n leads to if it is a hard link, through others
// if need be: a file, or the last link whose target is not in this layer.
func (t *tree) resolve(n int32) (int32, error) {
	var chain []int32
	end := n
	for t.nodes[end].mode == 0 {
		if known := t.nodes[end].first; known >= 0 {
			end = known
			break
		}
		t.nodes[end].first = onTheWay
		chain = append(chain, end)
		next, err := t.find(strings.Split(t.nodes[end].target, "/"))
		if err != nil {
			return none, err
		}
		if next == none || t.nodes[next].isDir() {
			break
		}
		if t.nodes[next].mode == 0 && t.nodes[next].first == onTheWay {
			end = n // they lead to each other, and stay as they are
			for _, link := range chain {
				t.nodes[link].first = link
			}
			return end, nil
		}
		end = next
	}
	for _, link := range chain {
		t.nodes[link].first = end
	}
	return end, nil
}

// find returns the node at a clean path, or none.
func (t *tree) find(path []string) (int32, error) {
	last := len(path) - 1
	dir, err := t.walk(path[:last], lookOnly)
	var unplaced nameError
	if errors.As(err, &unplaced) {
		return none, nil
	}
	if err != nil || dir == none {
		return none, err
	}
	return t.lookup(dir, path[last]), nil
}

// write encodes the tree as a layer's own index, with all contents that the
// record of the layer refers to.
func (t *tree) write(w io.Writer, contents *contentList) error {
	e := newEncoder(len(t.nodes))
	e.contents = contents.unique // each once, so that their numbers are known without a map
	hidden := make(map[int32][]string)
	for key := range t.hidden {
		hidden[key.dir] = append(hidden[key.dir], key.name)
	}
	numbers := make([]Ino, len(t.nodes))
	number := func(i int32) Ino {
		n := &t.nodes[i]
		rec := n.inode
		switch {
		case n.content != none:
			rec.a = uint32(contents.payload[n.content]) + 1
		case n.mode&ModeType == ModeSymlink:
			rec.a = e.str(n.target)
		}
		rec.xattrs = e.xattrSet(n.xattrs)
		numbers[i] = e.add(rec)
		return numbers[i]
	}
	number(int32(Root))
	dirs := []int32{int32(Root)}
	var names []*entry
	for len(dirs) > 0 {
		dir := dirs[0]
		dirs = dirs[1:]
		d := numbers[dir]
		names = names[:0]
		for k := t.nodes[dir].first; k != none; k = t.entries[k].next {
			if dir == int32(Root) && strings.HasPrefix(t.entries[k].name, whiteoutMeta) {
				continue // a directory of AUFS' own
			}
			names = append(names, &t.entries[k])
		}
		slices.SortFunc(names, func(a, b *entry) int { return strings.Compare(a.name, b.name) })
		e.startDir(d)
		for _, name := range names {
			n := &t.nodes[name.node]
			if n.mode == 0 {
				e.foreignLink(d, name.name, n.target)
				continue
			}
			i := numbers[name.node]
			if i == Root {
				i = number(name.node)
				if n.isDir() {
					dirs = append(dirs, name.node)
				}
			}
			e.name(d, name.name, i)
		}
		white := hidden[dir]
		slices.Sort(white)
		for _, name := range white {
			e.whiteout(d, name)
		}
	}
	return e.write(w)
}
