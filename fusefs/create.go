package fusefs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/unionfs"
)

// cred is who a new file will belong to.
func (r *raw) cred(in *fuse.InHeader, umask uint32) (unionfs.Cred, error) {
	uid, gid, err := r.owners.creator(in.Uid, in.Gid)
	return unionfs.Cred{UID: uid, GID: gid, Umask: umask}, err
}

// created answers a request that made a name.
func (r *raw) created(op string, parent uint64, out *fuse.EntryOut, e unionfs.Entry, err error) fuse.Status {
	if err != nil {
		return r.reply(op, parent, err)
	}
	r.fillEntry(out, &e)
	return fuse.OK
}

// Create implements fuse.RawFileSystem: the kernel uses MKNOD from now on.
func (r *raw) Create(<-chan struct{}, *fuse.CreateIn, string, *fuse.CreateOut) fuse.Status {
	return fuse.ENOSYS
}

// Mknod implements fuse.RawFileSystem. It also makes regular files.
func (r *raw) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	c, err := r.cred(&in.InHeader, in.Umask)
	if err != nil {
		return r.reply("mknod", in.NodeId, err)
	}
	dev := uint64(in.Rdev)
	e, err := r.fs.Mknod(c, in.NodeId, name, in.Mode, unix.Major(dev), unix.Minor(dev))
	return r.created("mknod", in.NodeId, out, e, err)
}

// Mkdir implements fuse.RawFileSystem.
func (r *raw) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	c, err := r.cred(&in.InHeader, in.Umask)
	if err != nil {
		return r.reply("mkdir", in.NodeId, err)
	}
	e, err := r.fs.Mkdir(c, in.NodeId, name, in.Mode)
	return r.created("mkdir", in.NodeId, out, e, err)
}

// Symlink implements fuse.RawFileSystem.
func (r *raw) Symlink(_ <-chan struct{}, in *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	c, err := r.cred(in, 0)
	if err != nil {
		return r.reply("symlink", in.NodeId, err)
	}
	e, err := r.fs.Symlink(c, in.NodeId, name, target)
	return r.created("symlink", in.NodeId, out, e, err)
}

// Link implements fuse.RawFileSystem.
func (r *raw) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	e, err := r.fs.Link(in.Oldnodeid, in.NodeId, name)
	return r.created("link", in.NodeId, out, e, err)
}

// Tmpfile implements fuse.RawFileSystem.
func (r *raw) Tmpfile(_ <-chan struct{}, in *fuse.CreateIn, out *fuse.CreateOut) fuse.Status {
	c, err := r.cred(&in.InHeader, in.Umask)
	if err != nil {
		return r.reply("tmpfile", in.NodeId, err)
	}
	e, err := r.fs.Tmpfile(c, in.NodeId, in.Mode)
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	return r.created("tmpfile", in.NodeId, &out.EntryOut, e, err)
}

// Unlink implements fuse.RawFileSystem.
func (r *raw) Unlink(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return r.reply("unlink", in.NodeId, r.fs.Unlink(in.NodeId, name))
}

// Rmdir implements fuse.RawFileSystem.
func (r *raw) Rmdir(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return r.reply("rmdir", in.NodeId, r.fs.Rmdir(in.NodeId, name))
}

// Rename implements fuse.RawFileSystem.
func (r *raw) Rename(_ <-chan struct{}, in *fuse.RenameIn, oldName, newName string) fuse.Status {
	return r.reply("rename", in.NodeId, r.fs.Rename(in.NodeId, oldName, in.Newdir, newName, in.Flags))
}
