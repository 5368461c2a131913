package fusefs

import (
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/layerfs/layerfs/unionfs"
)

// ReadDir implements fuse.RawFileSystem.
func (r *raw) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	err := r.fs.Readdir(in.NodeId, in.Offset, false, func(d unionfs.DirEntry, _ *unionfs.Entry) bool {
		return out.AddDirEntry(kernelEntry(d))
	})
	return r.listed(in, out, err)
}

// ReadDirPlus implements fuse.RawFileSystem. "." and ".." carry node 0, on
// which the kernel takes no reference.
func (r *raw) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	err := r.fs.Readdir(in.NodeId, in.Offset, true, func(d unionfs.DirEntry, e *unionfs.Entry) bool {
		o := out.AddDirLookupEntry(kernelEntry(d))
		if o == nil {
			return false // no room: the kernel asks again from here
		}
		if e != nil {
			r.fillEntry(o, e)
		}
		return true
	})
	return r.listed(in, out, err)
}

// listed answers a listing. Entries found before an error are good, and the
// kernel has to get them, since it holds a reference on each; the error comes
// again with the next request.
func (r *raw) listed(in *fuse.ReadIn, out *fuse.DirEntryList, err error) fuse.Status {
	if len(out.Bytes()) > 0 {
		return fuse.OK
	}
	return r.reply("readdir", in.NodeId, err)
}

func kernelEntry(d unionfs.DirEntry) fuse.DirEntry {
	return fuse.DirEntry{Name: d.Name, Ino: d.Ino, Mode: d.Type, Off: d.Off}
}

// FsyncDir implements fuse.RawFileSystem.
func (r *raw) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return r.Fsync(cancel, in)
}
