package unionfs

import (
	"errors"
	"strconv"
	"strings"
	"syscall"

	"github.com/layerfs/layerfs/tarindex"
)

// Hard links of a layer to files that the layer itself does not have.

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
		name, e, err := a.keep(id)
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

// keep gives id a name in the root that neither the union nor the layer has.
func (a *applier) keep(id uint64) (name string, e Entry, err error) {
	for n := len(a.kept); ; n++ {
		name = ".layerfs-" + strconv.Itoa(n)
		if a.inLayer(name) {
			continue
		}
		if e, err = a.Link(id, RootID, name); !errors.Is(err, syscall.EEXIST) {
			return name, e, err
		}
	}
}

// inLayer reports whether the layer says something of a name in the root.
func (a *applier) inLayer(name string) bool {
	if _, ok := a.layer.Lookup(tarindex.Root, name); ok {
		return true
	}
	for link := range a.layer.ForeignLinks(tarindex.Root) {
		if link == name {
			return true
		}
	}
	for hidden := range a.layer.Whiteouts(tarindex.Root) {
		if hidden == name {
			return true
		}
	}
	return false
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
