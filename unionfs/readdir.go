package unionfs

// The offsets of a listing are the cookies of its names plus one. A cookie
// belongs to a name as long as the directory is in use:
//
//	0          .
//	1          ..
//	2 + pos    the name at pos in the lower part, if nothing hides it
//	2 + N + k  the k-th name that the lower part (of N names) does not have
//
// So a listing that goes on after names have come or gone neither repeats nor
// skips one that was there all the time.
const firstCookie = 2

// Readdir lists the directory id from off (0 at first, then the Off of the last
// entry taken) until yield returns false or the end. "." and ".." come first.
// Offsets stay valid while names come and go. With plus, yield also gets what
// Lookup would return, but nil for "." and ".." and for what cannot be read;
// the reference on it is taken only if yield returns true. yield must not keep
// the entry, nor call into the FS.
func (f *FS) Readdir(id, off uint64, plus bool, yield func(DirEntry, *Entry) bool) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	d, err := f.directory(id)
	if err != nil {
		return err
	}
	if off < firstCookie {
		if more := f.readdirDots(d, off, yield); !more {
			return nil
		}
	}
	if d.n != nil && f.removed(d.n) {
		return nil
	}
	var e Entry // one for all: yield does not keep it
	return f.names(d, max(off, firstCookie)-firstCookie, func(name string, o object, cookie uint64) bool {
		entry := DirEntry{Name: name, Ino: o.id(), Type: f.meta(o).typ(), Off: firstCookie + cookie + 1}
		if !plus {
			return yield(entry, nil)
		}
		a, err := f.attr(o)
		if err != nil {
			return yield(entry, nil)
		}
		e = f.peek(o, a)
		if !yield(entry, &e) {
			return false
		}
		f.ref(e.ID, 1)
		return true
	})
}

func (f *FS) readdirDots(d object, off uint64, yield func(DirEntry, *Entry) bool) (more bool) {
	if off == 0 && !yield(DirEntry{Name: ".", Ino: d.id(), Type: f.meta(d).typ(), Off: 1}, nil) {
		return false
	}
	parent, err := f.parent(d)
	if err != nil { // removed: there is nothing above any more
		parent = d
	}
	return yield(DirEntry{Name: "..", Ino: parent.id(), Type: f.meta(parent).typ(), Off: 2}, nil)
}

// names yields the names in the directory d whose cookies, less firstCookie,
// are at least from, in the order of cookies. FS.mu is held.
func (f *FS) names(d object, from uint64, yield func(name string, o object, cookie uint64) bool) error {
	if d.n != nil {
		if err := f.load(d.n); err != nil {
			return err
		}
	}
	base := uint64(0)
	if low, ok := d.lowerPart(); ok {
		base = uint64(f.lower.Children(low))
		for pos := from; pos < base; pos++ {
			name, i := f.lower.Child(low, int(pos))
			o := object{low: i}
			if d.n != nil {
				if e, ok := d.n.dir.entries[name]; ok {
					if e.n == nil {
						continue
					}
					o = object{n: e.n}
				}
			}
			if !yield(name, o, pos) {
				return nil
			}
		}
	}
	if d.n == nil {
		return nil
	}
	dir := d.n.dir
	first, _ := dir.seek(max(from, base) - base)
	for _, x := range dir.extra[first:] {
		if x.name == "" {
			continue
		}
		if !yield(x.name, object{n: dir.entries[x.name].n}, base+x.cookie) {
			return nil
		}
	}
	return nil
}
