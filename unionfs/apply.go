package unionfs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// Apply changes the union as if the layer, given by its own index, had been put
// on top of it (see tarindex.Merge). Options.Open must have the layer's
// contents. It works through the same calls as everybody else, and is not
// atomic: what ends it half-way, as a full disk, leaves half of it done.
func (f *FS) Apply(ctx context.Context, layer *tarindex.Index) error {
	if err := f.writable(); err != nil {
		return err
	}
	a := applier{FS: f, ctx: ctx, layer: layer, made: make(map[tarindex.Ino]uint64), kept: make(map[string]string)}
	before, err := f.Getattr(RootID)
	if err != nil {
		return err
	}
	if err = a.keepTargets(); err == nil {
		err = a.names("/", RootID, tarindex.Root)
	}
	for _, id := range a.made {
		f.Forget(id, 1)
	}
	if err = errors.Join(err, a.dropTargets()); err != nil {
		return err
	}
	return a.finish("/", RootID, tarindex.Root, &before)
}

type applier struct {
	*FS
	ctx   context.Context
	layer *tarindex.Index
	made  map[tarindex.Ino]uint64 // ids of what has several names in the layer; a reference on each
	kept  map[string]string       // names in the root that hold the targets of hard links, by target
}

// directory applies what the layer has in the directory i to the directory id.
// existed tells that it is older than the layer.
func (a *applier) directory(path string, id uint64, i tarindex.Ino, existed bool) error {
	var before *Attr
	if existed {
		attr, err := a.Getattr(id)
		if err != nil {
			return &pathError{path, err}
		}
		before = &attr
	}
	if err := a.names(path, id, i); err != nil {
		return err
	}
	return a.finish(path, id, i, before)
}

// names applies what the layer says of the names in a directory.
func (a *applier) names(path string, id uint64, i tarindex.Ino) error {
	if err := a.ctx.Err(); err != nil {
		return err
	}
	if err := a.hide(id, i); err != nil {
		return &pathError{path, err}
	}
	prefix := strings.TrimSuffix(path, "/") + "/"
	for pos := range a.layer.Children(i) {
		name, child := a.layer.Child(i, pos)
		if err := a.entry(prefix+name, id, name, child); err != nil {
			return err
		}
	}
	for name, target := range a.layer.ForeignLinks(i) {
		if err := a.foreignLink(id, name, target); err != nil {
			return &pathError{prefix + name, err}
		}
	}
	return nil
}

// finish gives a directory its attributes when all its names are made, for
// those have changed its times. What it was before the layer is in before, nil
// if there was none.
func (a *applier) finish(path string, id uint64, i tarindex.Ino, before *Attr) error {
	var err error
	if before != nil && a.layer.Implied(i) {
		_, err = a.Setattr(nil, id, SetAttr{Valid: SetMtime, Mtime: before.Mtime})
	} else {
		err = a.describe(id, i)
	}
	if err != nil {
		return &pathError{path, err}
	}
	return nil
}

// hide removes what the whiteouts and the opaque mark of the directory i hide.
func (a *applier) hide(id uint64, i tarindex.Ino) error {
	names := slices.Collect(a.layer.Whiteouts(i))
	if a.layer.Opaque(i) {
		var err error
		if names, err = a.list(id); err != nil {
			return err
		}
		if id == RootID {
			kept := slices.Collect(maps.Values(a.kept))
			names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(kept, name) })
		}
	}
	for _, name := range names {
		if err := a.remove(id, name); err != nil {
			return fmt.Errorf("remove %q: %w", name, err)
		}
	}
	return nil
}

// entry makes name in the directory parent what the inode i of the layer is.
func (a *applier) entry(path string, parent uint64, name string, i tarindex.Ino) error {
	attr := a.layer.Attr(i)
	if attr.IsDir() {
		return a.subdirectory(path, parent, name, i)
	}
	if err := a.remove(parent, name); err != nil {
		return &pathError{path, err}
	}
	if id, ok := a.made[i]; ok {
		e, err := a.Link(id, parent, name)
		if err != nil {
			return &pathError{path, err}
		}
		a.Forget(e.ID, 1)
		return nil
	}
	e, err := a.create(Cred{UID: attr.UID, GID: attr.GID}, parent, name, lowerMeta(attr), a.layer.Readlink(i))
	if err == nil {
		err = a.fill(e.ID, i, attr)
	}
	if err == nil {
		err = a.describe(e.ID, i)
	}
	if err != nil {
		return &pathError{path, err}
	}
	if attr.Nlink > 1 {
		a.made[i] = e.ID
	} else {
		a.Forget(e.ID, 1)
	}
	return nil
}

func (a *applier) subdirectory(path string, parent uint64, name string, i tarindex.Ino) error {
	e, err := a.Lookup(parent, name)
	existed := err == nil && e.Attr.Mode&unix.S_IFMT == unix.S_IFDIR
	switch {
	case existed:
	case a.layer.Phantom(i):
		if err == nil {
			a.Forget(e.ID, 1)
			return nil
		}
		if errors.Is(err, syscall.ENOENT) {
			return nil
		}
	case err == nil:
		a.Forget(e.ID, 1)
		if err = a.Unlink(parent, name); err == nil {
			e, err = a.Mkdir(Cred{}, parent, name, 0o755)
		}
	case errors.Is(err, syscall.ENOENT):
		e, err = a.Mkdir(Cred{}, parent, name, 0o755)
	}
	if err != nil {
		return &pathError{path, err}
	}
	defer a.Forget(e.ID, 1)
	return a.directory(path, e.ID, i, existed)
}

// fill writes the content of a new regular file.
func (a *applier) fill(id uint64, i tarindex.Ino, attr tarindex.Attr) error {
	h, ok := a.layer.Content(i)
	if !ok {
		return nil
	}
	from, base, err := a.open(h, attr.Size)
	if err != nil {
		return contentError(h, err)
	}
	defer from.Close()
	buf := make([]byte, min(attr.Size, 1<<20))
	for off := int64(0); off < attr.Size; {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		n, err := from.ReadAt(buf[:min(int64(len(buf)), attr.Size-off)], base+off)
		if n == 0 {
			return contentError(h, err)
		}
		if _, err := a.Write(a.ctx.Done(), id, buf[:n], off, false); err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// describe gives id the attributes of the inode i of the layer, and no others.
func (a *applier) describe(id uint64, i tarindex.Ino) error {
	attr := a.layer.Attr(i)
	s := SetAttr{Valid: SetUID | SetGID | SetMode, UID: attr.UID, GID: attr.GID, Mode: attr.Mode & 0o7777}
	if _, err := a.Setattr(nil, id, s); err != nil {
		return err
	}
	if err := a.setXattrs(id, i); err != nil {
		return fmt.Errorf("extended attributes: %w", err)
	}
	_, err := a.Setattr(nil, id, SetAttr{Valid: SetMtime, Mtime: attr.Mtime})
	return err
}

// setXattrs gives id the extended attributes of the inode i of the layer, and
// no others. They are taken as they are, like those of the lower, whatever
// Setxattr would think of them.
func (a *applier) setXattrs(id uint64, i tarindex.Ino) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	o, err := a.object(id)
	if err != nil {
		return err
	}
	old, err := a.xattrNames(o)
	if err != nil {
		return err
	}
	xattrs := a.layer.Xattrs(i)
	if len(old) == 0 && len(xattrs) == 0 {
		return nil
	}
	n, err := a.upper(o)
	if err != nil {
		return err
	}
	l, err := a.at(n)
	if err != nil {
		return err
	}
	defer l.release()
	for _, name := range old {
		if _, keep := a.layer.Xattr(i, name); keep {
			continue
		}
		if err := removeXattr(l, name, true); err != nil {
			return err
		}
	}
	var k marks
	for _, x := range xattrs {
		if err := l.setxattr(storedName(x.Name), x.Value, 0); err != nil {
			return fmt.Errorf("%s: %w", x.Name, noSpace(err))
		}
		k.note(storedName(x.Name))
	}
	n.xattrs, n.caps, n.acl = k.xattrs, k.caps, k.acl
	return nil
}

// remove removes name and all below it; it may be missing.
func (a *applier) remove(parent uint64, name string) error {
	e, err := a.Lookup(parent, name)
	if errors.Is(err, syscall.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer a.Forget(e.ID, 1)
	if e.Attr.Mode&unix.S_IFMT != unix.S_IFDIR {
		return a.Unlink(parent, name)
	}
	names, err := a.list(e.ID)
	if err != nil {
		return err
	}
	for _, below := range names {
		if err := a.remove(e.ID, below); err != nil {
			return err
		}
	}
	return a.Rmdir(parent, name)
}

// list returns the names in a directory.
func (a *applier) list(id uint64) ([]string, error) {
	var names []string
	err := a.Readdir(id, 0, false, func(e DirEntry, _ *Entry) bool {
		if e.Name != "." && e.Name != ".." {
			names = append(names, e.Name)
		}
		return true
	})
	return names, err
}
