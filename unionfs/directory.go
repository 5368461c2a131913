package unionfs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// A directory is what the upper part of a directory says about its names. It is
// read from disk at the first touch and is the truth from then on, because
// nobody else changes the upper.
type directory struct {
	mu     sync.Mutex // held while loading
	loaded atomic.Bool

	entries map[string]entry // names that the upper decides; all others are the lower's
	// extra are the names that the lower does not have, by growing cookie; see
	// Readdir. Removed ones leave a gap until there are too many of them.
	extra   []extraName
	gaps    int
	cookie  uint64 // the next one
	subdirs int    // directories in it, of upper and lower
}

// An entry is a name that the upper decides.
type entry struct {
	n      *node  // nil: whiteout
	cookie uint64 // of an extra name
}

type extraName struct {
	cookie uint64
	name   string // "" is a gap
}

func newDirectory() *directory { return &directory{entries: make(map[string]entry)} }

// set makes name lead to n, or for nil be a whiteout. inLower tells whether the
// lower has such a name.
func (d *directory) set(name string, n *node, inLower bool) {
	e, ok := d.entries[name]
	if !inLower && n != nil && (!ok || e.cookie == 0) {
		d.cookie++
		e.cookie = d.cookie
		d.extra = append(d.extra, extraName{e.cookie, name})
	}
	if n == nil {
		d.dropCookie(e)
		e.cookie = 0
	}
	e.n = n
	d.entries[name] = e
}

// unset leaves name to the lower.
func (d *directory) unset(name string) {
	d.dropCookie(d.entries[name])
	delete(d.entries, name)
}

func (d *directory) dropCookie(e entry) {
	if e.cookie == 0 {
		return
	}
	if i, ok := d.seek(e.cookie); ok {
		d.extra[i].name = ""
		d.gaps++
	}
	if d.gaps > 32 && d.gaps > len(d.extra)/2 {
		d.extra = slices.DeleteFunc(d.extra, func(x extraName) bool { return x.name == "" })
		d.gaps = 0
	}
}

// seek finds the first extra name with at least the given cookie, and whether
// it has just that.
func (d *directory) seek(cookie uint64) (int, bool) {
	return slices.BinarySearchFunc(d.extra, cookie, func(x extraName, c uint64) int { return cmp.Compare(x.cookie, c) })
}

// load reads the upper part of the directory n, once. FS.mu is held, shared or
// alone.
func (f *FS) load(n *node) error {
	d := n.dir
	if d.loaded.Load() {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.loaded.Load() {
		return nil
	}
	at, err := f.openDir(n)
	if err != nil {
		return err
	}
	defer at.release()
	list, err := openat(at.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	names, err := list.Readdirnames(-1)
	list.Close()
	if err != nil {
		return err
	}
	slices.Sort(names)
	fresh := newDirectory()
	for _, name := range names {
		child, err := f.loadEntry(n, at, name)
		if f.readOnly && errors.Is(err, syscall.ENOENT) {
			continue // the process that serves the mount has just removed it
		}
		if err != nil {
			return fmt.Errorf("upper file %q: %w", name, err)
		}
		fresh.set(name, child, f.inLower(n, name))
	}
	d.entries, d.extra, d.cookie = fresh.entries, fresh.extra, fresh.cookie
	d.subdirs = f.countSubdirs(n)
	d.loaded.Store(true)
	return nil
}

// countSubdirs counts the directories in n from its entries and its lower.
func (f *FS) countSubdirs(n *node) int {
	count := 0
	for _, e := range n.dir.entries {
		if e.n != nil && e.n.isDir() {
			count++
		}
	}
	low, ok := n.lowIno()
	if !ok {
		return count
	}
	for pos := range f.lower.Children(low) {
		name, i := f.lower.Child(low, pos)
		if _, ok := n.dir.entries[name]; !ok && f.lower.Attr(i).IsDir() {
			count++
		}
	}
	return count
}

// inLower reports whether the lower part of the directory n has name.
func (f *FS) inLower(n *node, name string) bool {
	_, ok := f.lowerChild(n, name)
	return ok
}

func (f *FS) lowerChild(n *node, name string) (tarindex.Ino, bool) {
	low, ok := n.lowIno()
	if !ok {
		return 0, false
	}
	return f.lower.Lookup(low, name)
}

// loadEntry makes the node of name in the upper directory at of dir; nil for a
// whiteout.
func (f *FS) loadEntry(dir *node, at *descriptor, name string) (*node, error) {
	l := location{d: at, name: name}
	st, err := l.stat()
	if err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 {
		return nil, nil
	}
	k, err := f.readMarks(l, &st)
	if err != nil {
		return nil, err
	}
	if k.whiteout {
		return nil, nil
	}
	n := &node{
		id: upperIDs + st.Ino, generation: f.generation.Add(1),
		meta: k.meta, low: -1, backing: st.Ino,
		xattrs: k.xattrs, caps: k.caps, acl: k.acl,
	}
	if n.isDir() {
		n.dir = newDirectory()
		n.low = f.mergedWith(dir, name, k)
	} else {
		n.low = k.origin
		n.metacopy.Store(k.metacopy)
		if n.metacopy.Load() && n.low < 0 {
			return nil, fmt.Errorf("%s without %s: %w", xattrMetacopy, xattrOrigin, syscall.EIO)
		}
	}
	if i := max(n.low, k.origin); i >= 0 { // an opaque directory may have a number only
		n.id, n.generation = lowerID(tarindex.Ino(i)), 0
	}
	return f.table.add(n, place{dir, name}), nil
}

// mergedWith returns the lower directory below the upper directory name in dir,
// or -1.
func (f *FS) mergedWith(dir *node, name string, k marks) int64 {
	var i tarindex.Ino
	ok := true
	switch {
	case k.opaque:
		return -1
	case k.origin >= 0:
		i = tarindex.Ino(k.origin)
	case strings.HasPrefix(k.redirect, "/"):
		for part := range strings.SplitSeq(strings.Trim(k.redirect, "/"), "/") {
			if i, ok = f.lower.Lookup(i, part); !ok {
				return -1
			}
		}
	default:
		i, ok = f.lowerChild(dir, name)
	}
	if !ok || !f.lower.Attr(i).IsDir() {
		return -1
	}
	return int64(i)
}

// marks is what the extended attributes of an upper object say.
type marks struct {
	meta
	opaque, whiteout, metacopy, xattrs, caps, acl bool
	redirect                                      string
	origin                                        int64 // -1: none
}

func (f *FS) readMarks(l location, st *unix.Stat_t) (marks, error) {
	k := marks{
		meta: meta{
			mode: st.Mode, uid: f.owner.uid, gid: f.owner.gid,
			major: unix.Major(st.Rdev), minor: unix.Minor(st.Rdev),
		},
		origin: -1,
	}
	names, err := l.listxattr()
	if err != nil {
		return k, err
	}
	for _, name := range names {
		switch name {
		case xattrOpaque, xattrRedirect, xattrOverride, xattrOrigin:
			v, err := l.getxattr(name)
			if err != nil {
				return k, err
			}
			if err := k.read(name, v, st, f.lower.Len()); err != nil {
				return k, fmt.Errorf("%w: %w", err, syscall.EIO)
			}
		case xattrMetacopy:
			k.metacopy = true
		case xattrWhiteout:
			k.whiteout = st.Size == 0 && st.Mode&unix.S_IFMT == unix.S_IFREG
		default:
			k.note(name)
		}
	}
	return k, nil
}

// note records that there is an xattr of the stored name to show.
func (k *marks) note(stored string) {
	shown, ok := shownName(stored)
	if !ok {
		return
	}
	k.xattrs = true
	k.caps = k.caps || shown == xattrCapability
	k.acl = k.acl || shown == xattrAccessACL
}

func (k *marks) read(name string, v []byte, st *unix.Stat_t, lowerLen int) error {
	switch name {
	case xattrOpaque:
		k.opaque = string(v) == "y"
	case xattrRedirect:
		k.redirect = string(v)
	case xattrOrigin:
		i, err := parseOrigin(v, lowerLen)
		k.origin = int64(i)
		return err
	case xattrOverride:
		m, err := parseOverride(string(v), st.Mode)
		if err == nil && m.isDir() != (st.Mode&unix.S_IFMT == unix.S_IFDIR) {
			err = fmt.Errorf("%s %q does not fit the type of the file", xattrOverride, v)
		}
		k.meta = m
		return err
	}
	return nil
}
