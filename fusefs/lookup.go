package fusefs

import (
	"errors"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Lookup implements fuse.RawFileSystem. A missing name is a good answer too,
// and cached: node 0 with a lifetime.
func (r *raw) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	e, err := r.fs.Lookup(in.NodeId, name)
	if errors.Is(err, syscall.ENOENT) && name != "." && name != ".." {
		out.SetEntryTimeout(forever)
		return fuse.OK
	}
	if err != nil {
		return r.reply("lookup", in.NodeId, err)
	}
	r.fillEntry(out, &e)
	return fuse.OK
}

// Forget implements fuse.RawFileSystem.
func (r *raw) Forget(id, n uint64) { r.fs.Forget(id, n) }

// Readlink implements fuse.RawFileSystem.
func (r *raw) Readlink(_ <-chan struct{}, in *fuse.InHeader) ([]byte, fuse.Status) {
	target, err := r.fs.Readlink(in.NodeId)
	return []byte(target), r.reply("readlink", in.NodeId, err)
}
