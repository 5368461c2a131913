package unionfs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
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
	err := a.keepTargets()
	if err == nil {
		err = a.directory("/", RootID, tarindex.Root, true)
	}
	for _, id := range a.made {
		f.Forget(id, 1)
	}
	return errors.Join(err, a.dropTargets())
}

type applier struct {
	*FS
	ctx   context.Context
	layer *tarindex.Index
	made  map[tarindex.Ino]uint64 // ids of what has several names in the layer; a reference on each
	kept  map[string]string       // names in the root that hold the targets of hard links, by target
}

// keepTargets gives the files of the union that links of the layer point to a
// name in the root, so that neither whiteouts nor entries of the layer remove
// them before they are linked.
func (a *applier) keepTargets() error {
	for _, target := range a.layer.Unresolved() {
		if a.kept[target] != "" {
			continue
		}
		id, err := a.find(target)
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) {
			continue // left out, as Merge does
		}
		if err != nil {
			return &pathError{target, err}
		}
		name := ".layerfs-" + strconv.Itoa(len(a.kept))
		e, err := a.Link(id, RootID, name)
		a.Forget(id, 1)
		if errors.Is(err, syscall.EPERM) { // a directory is no target
			continue
		}
		if err != nil {
			return &pathError{target, err}
		}
		a.Forget(e.ID, 1)
		a.kept[target] = name
	}
	return nil
}

func (a *applier) dropTargets() error {
	var errs []error
	for _, name := range a.kept {
		errs = append(errs, a.Unlink(RootID, name))
	}
	return errors.Join(errs...)
}

// find looks a path up, and takes a reference on what it finds.
func (a *applier) find(path string) (uint64, error) {
	id := uint64(RootID)
	a.ref(id, 1)
	for name := range strings.SplitSeq(path, "/") {
		e, err := a.Lookup(id, name)
		a.Forget(id, 1)
		if err != nil {
			return 0, err
		}
		id = e.ID
	}
	return id, nil
}

// directory applies what the layer has in the directory i to the directory id.
// existed tells that it is older than the layer.
func (a *applier) directory(path string, id uint64, i tarindex.Ino, existed bool) error {
	if err := a.ctx.Err(); err != nil {
		return err
	}
	before, err := a.Getattr(id)
	if err != nil {
		return &pathError{path, err}
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
	// The names have changed the times of the directory.
	if existed && a.layer.Implied(i) {
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
	e, err := a.create(parent, name, i, attr)
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

func (a *applier) create(parent uint64, name string, i tarindex.Ino, attr tarindex.Attr) (Entry, error) {
	c := Cred{UID: attr.UID, GID: attr.GID}
	if attr.Mode&unix.S_IFMT == unix.S_IFLNK {
		return a.Symlink(c, parent, name, a.layer.Readlink(i))
	}
	return a.Mknod(c, parent, name, attr.Mode, attr.Major, attr.Minor)
}

// fill writes the content of a new regular file.
func (a *applier) fill(id uint64, i tarindex.Ino, attr tarindex.Attr) error {
	h, ok := a.layer.Content(i)
	if !ok {
		return nil
	}
	from, err := a.open(h)
	if err != nil {
		return contentError(h, err)
	}
	defer from.Close()
	buf := make([]byte, min(attr.Size, 1<<20))
	for off := int64(0); off < attr.Size; {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		n, err := from.ReadAt(buf[:min(int64(len(buf)), attr.Size-off)], off)
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
	old, err := a.Listxattr(id)
	if err != nil {
		return err
	}
	for _, name := range old {
		if _, keep := a.layer.Xattr(i, name); keep {
			continue
		}
		if err := a.Removexattr(id, name); err != nil && !errors.Is(err, syscall.ENODATA) {
			return fmt.Errorf("remove xattr %s: %w", name, err)
		}
	}
	for _, x := range a.layer.Xattrs(i) {
		if err := a.Setxattr(id, x.Name, x.Value, 0, false); err != nil {
			return fmt.Errorf("set xattr %s: %w", x.Name, err)
		}
	}
	_, err = a.Setattr(nil, id, SetAttr{Valid: SetMtime, Mtime: attr.Mtime})
	return err
}

// foreignLink makes name a link to what target was before the layer.
func (a *applier) foreignLink(parent uint64, name, target string) error {
	kept, ok := a.kept[target]
	if !ok {
		return nil
	}
	if err := a.remove(parent, name); err != nil {
		return err
	}
	from, err := a.Lookup(RootID, kept)
	if err != nil {
		return err
	}
	defer a.Forget(from.ID, 1)
	e, err := a.Link(from.ID, parent, name)
	if err == nil {
		a.Forget(e.ID, 1)
	}
	return err
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
