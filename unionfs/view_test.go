package unionfs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// A view is a tree as one sees it from outside, by path. Views come from a
// union through its public methods, from a merged index, and from the model;
// what they have in common is this type.
type view map[string]thing

// A thing is all that can be seen under one path.
type thing struct {
	Mode, UID, GID, Major, Minor, Nlink uint32
	Size                                int64 // of regular files and symbolic links
	Mtime                               Time
	Xattrs                              string
	Data                                string // content or target
	Names                               string // all paths of this file, if there are several
	Ino                                 uint64
}

func (g thing) isDir() bool { return g.Mode&unix.S_IFMT == unix.S_IFDIR }

func xattrString(xattrs map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(xattrs)) {
		fmt.Fprintf(&b, "%s=%q ", name, xattrs[name])
	}
	return b.String()
}

// digestLong replaces what is too long to be read in a test's output.
func digestLong(data []byte) string {
	if len(data) <= 64 {
		return string(data)
	}
	return fmt.Sprintf("%.12q... sha256 %x", data[:8], sha256.Sum256(data))
}

// nameGroups fills in Names: the paths of things that are no directories and
// have the same number.
func (v view) nameGroups() {
	byIno := make(map[uint64][]string)
	for _, p := range slices.Sorted(maps.Keys(v)) {
		if !v[p].isDir() {
			byIno[v[p].Ino] = append(byIno[v[p].Ino], p)
		}
	}
	for _, names := range byIno {
		if len(names) > 1 {
			for _, p := range names {
				g := v[p]
				g.Names = strings.Join(names, " ")
				v[p] = g
			}
		}
	}
}

// unnumbered returns v without inode numbers.
func (v view) unnumbered() view {
	w := maps.Clone(v)
	for p, g := range w {
		g.Ino = 0
		w[p] = g
	}
	return w
}

// differences describes where two views differ; nil if they do not.
func differences(aName string, a view, bName string, b view) error {
	all := maps.Clone(a)
	maps.Copy(all, b)
	var errs []error
	for _, p := range slices.Sorted(maps.Keys(all)) {
		if a[p] != b[p] && len(errs) < 6 {
			errs = append(errs, fmt.Errorf("%s:\n  %-12s %+v\n  %-12s %+v", p, aName, a[p], bName, b[p]))
		}
	}
	return errors.Join(errs...)
}

// viewUnion walks f by its public methods, and checks on the way that they
// agree with each other.
func viewUnion(f *FS) (view, error) {
	v := make(view)
	if err := v.addUnion(f, "/", RootID); err != nil {
		return nil, err
	}
	v.nameGroups()
	return v, nil
}

func (v view) addUnion(f *FS, p string, id uint64) error {
	g, err := seeUnion(f, id)
	if err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	v[p] = g
	if !g.isDir() {
		return nil
	}
	var list []DirEntry
	if err := f.Readdir(id, 0, false, func(e DirEntry, _ *Entry) bool {
		list = append(list, e)
		return true
	}); err != nil {
		return fmt.Errorf("readdir %s: %w", p, err)
	}
	if len(list) < 2 || list[0].Name != "." || list[1].Name != ".." || list[0].Ino != id {
		return fmt.Errorf("%s does not begin with . and ..: %+v", p, list)
	}
	for _, d := range list[2:] {
		q := path.Join(p, d.Name)
		if _, twice := v[q]; twice {
			return fmt.Errorf("%s is listed twice", q)
		}
		e, err := f.Lookup(id, d.Name)
		if err != nil {
			return fmt.Errorf("listed, but lookup of %s: %w", q, err)
		}
		if e.ID != d.Ino || e.Attr.Ino != d.Ino || e.Attr.Mode&unix.S_IFMT != d.Type {
			return fmt.Errorf("%s is listed as %+v, and is %+v", q, d, e)
		}
		err = v.addUnion(f, q, e.ID)
		f.Forget(e.ID, 1)
		if err != nil {
			return err
		}
	}
	return nil
}

// seeUnion looks at one object of a union.
func seeUnion(f *FS, id uint64) (thing, error) {
	a, err := f.Getattr(id)
	if err != nil {
		return thing{}, err
	}
	g := thing{
		Mode: a.Mode, UID: a.UID, GID: a.GID, Major: a.Major, Minor: a.Minor, Nlink: a.Nlink,
		Size: a.Size, Mtime: a.Mtime, Ino: a.Ino,
	}
	names, err := f.Listxattr(id)
	if err != nil {
		return g, err
	}
	xattrs := make(map[string]string)
	for _, n := range names {
		value, err := f.Getxattr(id, n)
		if err != nil {
			return g, fmt.Errorf("getxattr %s: %w", n, err)
		}
		xattrs[n] = string(value)
	}
	g.Xattrs = xattrString(xattrs)
	switch a.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		g.Size = 0
	case unix.S_IFLNK:
		var target string
		target, err = f.Readlink(id)
		g.Data = digestLong([]byte(target))
	case unix.S_IFREG:
		b := make([]byte, a.Size+1)
		var n int
		if n, err = f.Read(id, b, 0); err == nil && int64(n) != a.Size {
			err = fmt.Errorf("read %d bytes of %d", n, a.Size)
		}
		g.Data = digestLong(b[:n])
	}
	return g, err
}

// viewIndex walks a merged index.
func viewIndex(x *tarindex.Index, open func(tarindex.Hash, int64) (*os.File, int64, error)) (view, error) {
	v := make(view)
	var walk func(p string, i tarindex.Ino) error
	walk = func(p string, i tarindex.Ino) error {
		a := x.Attr(i)
		xattrs := make(map[string]string)
		for _, e := range x.Xattrs(i) {
			xattrs[e.Name] = string(e.Value)
		}
		data := []byte(x.Readlink(i))
		if h, ok := x.Content(i); ok {
			f, off, err := open(h, a.Size)
			if err != nil {
				return err
			}
			defer f.Close()
			if data, err = io.ReadAll(io.NewSectionReader(f, off, a.Size)); err != nil {
				return err
			}
		}
		v[p] = thing{
			Mode: a.Mode, UID: a.UID, GID: a.GID, Major: a.Major, Minor: a.Minor, Nlink: a.Nlink,
			Size: a.Size, Mtime: a.Mtime, Ino: uint64(i) + 1, Xattrs: xattrString(xattrs), Data: digestLong(data),
		}
		for pos := range x.Children(i) {
			name, child := x.Child(i, pos)
			if err := walk(path.Join(p, name), child); err != nil {
				return err
			}
		}
		return nil
	}
	err := walk("/", tarindex.Root)
	v.nameGroups()
	return v, err
}

// scanLayer returns the index of a layer tar, and puts its contents into p.
func scanLayer(layer []byte, p pool) (*tarindex.Index, error) {
	l, err := tarindex.Scan(context.Background(), bytes.NewReader(layer), p, io.Discard, tarindex.ScanOptions{})
	if err != nil {
		return nil, err
	}
	if len(l.Warnings) > 0 {
		return nil, fmt.Errorf("the layer has warnings: %v", l.Warnings)
	}
	var b bytes.Buffer
	if err := l.WriteIndex(&b); err != nil {
		return nil, err
	}
	return tarindex.Parse(b.Bytes())
}

// mergeLayer puts a layer on top of lower.
func mergeLayer(lower, layer *tarindex.Index) (*tarindex.Index, error) {
	var b bytes.Buffer
	if err := tarindex.Merge(lower, layer, &b); err != nil {
		return nil, err
	}
	x, err := tarindex.Parse(b.Bytes())
	if err != nil {
		return nil, err
	}
	return x, x.Verify()
}

func diffOf(f *FS) ([]byte, error) {
	var b bytes.Buffer
	err := f.Diff(context.Background(), &b, tarindex.TarOptions{})
	return b.Bytes(), err
}

// expectedChanges compares two views path by path: what Changes shall list. A
// file that has several names in the lower is changed where another file has
// taken one of them, and all names of a file are changed where it has got one
// that it did not have in the lower; that it has lost some is said by those.
func expectedChanges(before, after view) []Change {
	all := maps.Clone(before)
	maps.Copy(all, after)
	var changes []Change
	gone := "" // below it nothing is said
	for _, p := range slices.SortedFunc(maps.Keys(all), comparePaths) {
		b, had := before[p]
		a, has := after[p]
		switch {
		case gone != "" && strings.HasPrefix(p, gone):
		case !had:
			changes = append(changes, Change{Added, p})
		case !has:
			changes = append(changes, Change{Deleted, p})
			gone = p + "/"
		case sameThing(before, b, a):
		default:
			changes = append(changes, Change{Changed, p})
			if b.isDir() && !a.isDir() {
				gone = p + "/"
			}
		}
	}
	return changes
}

func sameThing(before view, b, a thing) bool {
	if a.Names != "" || b.Names != "" {
		if b.Names != "" && a.Ino != b.Ino {
			return false
		}
		for name := range strings.SplitSeq(a.Names, " ") {
			if a.Names != "" && (before[name].Ino != b.Ino || before[name].isDir()) {
				return false
			}
		}
	}
	a.Ino, a.Nlink, a.Names = b.Ino, b.Nlink, b.Names
	return a == b
}

// comparePaths sorts a directory before what is in it, and names by their bytes.
func comparePaths(p, q string) int {
	return slices.CompareFunc(strings.Split(strings.TrimSuffix(p, "/"), "/"), strings.Split(strings.TrimSuffix(q, "/"), "/"), cmp.Compare[string])
}

func changesOf(f *FS) ([]Change, error) {
	var changes []Change
	err := f.Changes(func(c Change) error {
		changes = append(changes, c)
		return nil
	})
	return changes, err
}

func changeLines(changes []Change) string {
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&b, "%c %q\n", c.Kind, c.Path)
	}
	return b.String()
}

// checkDiff checks Changes and Diff of f against its lower and what can be seen
// of it, and returns the diff.
func checkDiff(f *FS, p pool) ([]byte, error) {
	now, err := viewUnion(f)
	if err != nil {
		return nil, err
	}
	before, err := viewIndex(f.lower, p.open)
	if err != nil {
		return nil, err
	}
	changes, err := changesOf(f)
	if err != nil {
		return nil, fmt.Errorf("Changes: %w", err)
	}
	if got, want := changeLines(changes), changeLines(expectedChanges(before, now)); got != want {
		return nil, fmt.Errorf("Changes lists\n%swant\n%s", got, want)
	}
	diff, err := diffOf(f)
	if err != nil {
		return nil, fmt.Errorf("Diff: %w", err)
	}
	if again, err := diffOf(f); err != nil || !bytes.Equal(diff, again) {
		return nil, fmt.Errorf("a second Diff gives other bytes (%v)", err)
	}
	layer, err := scanLayer(diff, p)
	if err != nil {
		return nil, fmt.Errorf("scan the diff: %w", err)
	}
	merged, err := mergeLayer(f.lower, layer)
	if err != nil {
		return nil, fmt.Errorf("merge the diff: %w", err)
	}
	after, err := viewIndex(merged, p.open)
	if err != nil {
		return nil, err
	}
	if err := differences("union", now.unnumbered(), "lower+diff", after.unnumbered()); err != nil {
		return nil, fmt.Errorf("the diff is not what is seen:\n%w\nits changes:\n%s", err, changeLines(changes))
	}
	return diff, nil
}
