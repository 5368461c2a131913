package unionfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// Diff writes what Changes lists as a layer tar, in the same order: applied to
// the lower it gives the tree of the union, names, attributes, contents and
// hard links. The same state gives the same bytes. Directories above a change
// are in it too, because readers other than ours would make up attributes for
// them. A directory that was removed and made again has whiteouts for what is
// no longer in it, and no opaque mark: some readers apply that mark to the
// layer's own files.
//
// A tar cannot hold sockets, nor names that begin with ".wh.": both are errors
// (tarindex.ErrSocket, tarindex.ErrName) that name the file. So is a file that
// becomes shorter meanwhile (tarindex.ErrTruncated), and one whose data is the
// lower's and not what it was (tarindex.ErrCorrupt).
func (f *FS) Diff(ctx context.Context, w io.Writer, o tarindex.TarOptions) error {
	found, err := f.compare()
	if err != nil {
		return err
	}
	d := differ{f: f, ctx: ctx, tar: tarindex.NewTarWriter(w, o), first: make(map[uint64]string)}
	for _, c := range found {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.write(c); err != nil {
			return err
		}
	}
	return d.tar.Close()
}

// A differ writes changes one after the other.
type differ struct {
	f     *FS
	ctx   context.Context
	tar   *tarindex.TarWriter
	first map[uint64]string // path of what has several names, by id
}

// A record is what the tar says of one object.
type record struct {
	attr   tarindex.Attr
	xattrs []tarindex.Xattr
	target string       // of a symbolic link
	data   source       // of a regular file
	low    tarindex.Ino // the lower file whose data that is; 0, which is the root: none
}

func (d *differ) write(c change) error {
	path := strings.TrimPrefix(c.Path, "/")
	if c.Kind == Deleted {
		return d.tar.Whiteout(path)
	}
	r, err := d.f.record(c.o)
	if err != nil {
		return d.f.changing(&pathError{c.Path, err})
	}
	defer r.data.release()
	if !r.attr.IsDir() && r.attr.Nlink > 1 {
		if first, ok := d.first[c.o.id()]; ok {
			return d.tar.Link(path, first, r.attr)
		}
		d.first[c.o.id()] = path
	}
	switch r.attr.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return d.tar.Directory(path, r.attr, r.xattrs)
	case unix.S_IFREG:
		err := d.tar.File(path, r.attr, r.xattrs, &contextReader{d.ctx, d.f.dataOf(r)})
		if errors.Is(err, tarindex.ErrTruncated) {
			err = fmt.Errorf("%w: %w", ErrChanging, err)
		}
		return err
	case unix.S_IFLNK:
		return d.tar.Symlink(path, r.target, r.attr, r.xattrs)
	}
	return d.tar.Node(path, r.attr, r.xattrs)
}

// record gathers what is to be said of o, and opens its data.
func (f *FS) record(o object) (r record, err error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	a, err := f.attr(o)
	if err != nil {
		return r, err
	}
	r.attr = tarindex.Attr{
		Mode: a.Mode, UID: a.UID, GID: a.GID, Nlink: a.Nlink, Major: a.Major, Minor: a.Minor, Size: a.Size, Mtime: a.Mtime,
	}
	if r.xattrs, err = f.xattrsOf(o); err != nil {
		return r, err
	}
	switch a.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		r.target, err = f.target(o)
	case unix.S_IFREG:
		r.data, r.low, err = f.upperData(o)
		r.data, err = f.orLower(r.data, r.low, err)
	}
	return r, err
}

// dataOf reads the data of a regular file. Nobody has looked at that of a lower
// file since it came in, so it is verified.
func (f *FS) dataOf(r record) io.Reader {
	if h, ok := f.lower.Content(r.low); ok {
		whole := io.NewSectionReader(r.data.d, r.data.d.base, f.lower.Attr(r.low).Size)
		return newVerifiedReader(whole, h, r.attr.Size)
	}
	return r.data.section(r.attr.Size)
}

// A contextReader reads until ctx ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
