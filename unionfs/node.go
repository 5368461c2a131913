package unionfs

import (
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// upperIDs is where the ids of objects begin that no lower has: upperIDs plus
// the number of the backing inode. Below are the lower inodes: number plus one.
const upperIDs = 1 << 32

func lowerID(i tarindex.Ino) uint64 { return uint64(i) + 1 }

// A node is an object with a part in the upper, or one of the lower that has
// been removed and is still referred to. All other objects of the lower need
// no memory.
//
// FS.mu guards the fields, except where noted.
type node struct {
	id, generation uint64
	meta
	// low is the lower inode that the object was copied up from: a directory is
	// merged with it, a file with metacopy has its content. -1: none.
	low     int64
	backing uint64 // number of the inode in the upper; 0: no upper part (then removed)

	metacopy atomic.Bool // the content is still that of low; only ever becomes false
	xattrs   bool        // it may have extended attributes to show
	caps     bool        // ... security.capability
	acl      bool        // ... an access ACL
	linkable bool        // made by Tmpfile and not linked yet

	places []place     // its names, as far as their directories are loaded; guarded by table.mu
	pin    *descriptor // O_PATH: how to reach it when no name is left. The root has one, too.

	refs atomic.Int64 // lookups, if id is above upperIDs; see FS.ref

	data  sync.RWMutex // see doc.go; held shared to write, alone to truncate and to fill
	dir   *directory   // of directories
	quiet quiet        // of directories
}

// A place is one name of a node.
type place struct {
	dir  *node
	name string
}

func (n *node) lowIno() (tarindex.Ino, bool) { return tarindex.Ino(n.low), n.low >= 0 }

// A table finds the nodes by id. Its lock is the innermost.
type table struct {
	mu    sync.RWMutex
	nodes map[uint64]*node
}

func (t *table) get(id uint64) *node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.nodes[id]
}

// add puts n into the table with one name, or finds that another name of the
// same inode has brought it there before. The id of an object that claims a
// lower inode which another object has already (a damaged upper) is made from
// its own inode.
func (t *table) add(n *node, p place) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, ok := t.nodes[n.id]
	if ok && old.backing != n.backing {
		n.id = upperIDs + n.backing
		old, ok = t.nodes[n.id]
	}
	if ok {
		n = old
	} else {
		t.nodes[n.id] = n
	}
	if p.dir != nil && !slices.Contains(n.places, p) {
		n.places = append(n.places, p)
	}
	return n
}

func (t *table) remove(n *node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.nodes, n.id)
}

// place returns one name of n; false if it has none, or none that is known.
func (t *table) place(n *node) (place, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if len(n.places) == 0 {
		return place{}, false
	}
	return n.places[0], true
}

func (t *table) addPlace(n *node, p place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.places = append(n.places, p)
}

func (t *table) removePlace(n *node, p place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.places = slices.DeleteFunc(n.places, func(q place) bool { return q == p })
}

// onlyPlace reports whether p is the only known name of n.
func (t *table) onlyPlace(n *node, p place) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(n.places) == 1 && n.places[0] == p
}

// removed reports whether the directory n has been removed.
func (f *FS) removed(n *node) bool {
	if n == f.root {
		return false
	}
	_, ok := f.table.place(n)
	return !ok
}

// ref adds n to the references on id, which may be negative, and returns what
// they are then. They are counted apart from the nodes for what the lower has,
// because it need not have a node.
func (f *FS) ref(id uint64, n int64) int64 {
	if id <= uint64(len(f.lowerRefs)) {
		return int64(f.lowerRefs[id-1].Add(uint32(n)))
	}
	if node := f.table.get(id); node != nil {
		return node.refs.Add(n)
	}
	return 0
}

// Forget gives back n references on id. An unlinked object is gone when its
// last reference is.
func (f *FS) Forget(id, n uint64) {
	if id == 0 || f.ref(id, -int64(n)) > 0 {
		return
	}
	if f.table.get(id) == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if node := f.table.get(id); node != nil {
		f.reap(node)
	}
}

// reap frees what holds n up, if nothing needs it any more. FS.mu is held.
func (f *FS) reap(n *node) {
	if n == f.root || f.ref(n.id, 0) > 0 {
		return
	}
	if _, ok := f.table.place(n); !ok {
		f.table.remove(n)
		f.files.drop(descriptorKey{id: n.id})
		f.dirs.drop(descriptorKey{id: n.id})
	}
	if n.pin != nil {
		n.pin.release()
		n.pin = nil
	}
}

// at returns how to reach the upper part of n. The caller releases it.
func (f *FS) at(n *node) (location, error) {
	if n.pin != nil {
		return location{d: n.pin.acquire()}, nil
	}
	p, ok := f.table.place(n)
	if !ok {
		return location{}, unix.ESTALE
	}
	if n.dir == nil {
		d, err := f.openDir(p.dir)
		return location{d: d, name: p.name}, err
	}
	d, err := f.openDir(n)
	return location{d: d}, err
}

// openDir returns an O_PATH descriptor of the upper part of the directory n.
func (f *FS) openDir(n *node) (*descriptor, error) {
	if n.pin != nil {
		return n.pin.acquire(), nil
	}
	return f.dirs.get(descriptorKey{id: n.id}, func() (*descriptor, error) {
		p, ok := f.table.place(n)
		if !ok {
			return nil, unix.ENOENT
		}
		parent, err := f.openDir(p.dir)
		if err != nil {
			return nil, err
		}
		defer parent.release()
		return opened(openat(parent.fd, p.name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0))
	})
}
