package fusefs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Read implements fuse.RawFileSystem.
func (r *raw) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	n, err := r.fs.Read(in.NodeId, buf, int64(in.Offset))
	if err != nil {
		return nil, r.reply("read", in.NodeId, err)
	}
	return fuse.ReadResultData(buf[:n]), fuse.OK
}

// Write implements fuse.RawFileSystem. The offset is final: with O_APPEND the
// kernel has put it at the end of the file, under the inode's lock.
func (r *raw) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (written uint32, code fuse.Status) {
	killPriv := in.WriteFlags&fuse.WRITE_KILL_SUIDGID != 0
	err := untilKilled(cancel, in.Pid, func(cancel <-chan struct{}) error {
		n, err := r.fs.Write(cancel, in.NodeId, data, int64(in.Offset), killPriv)
		written = uint32(n)
		return err
	})
	return written, r.reply("write", in.NodeId, err)
}

// mayKeepSetuid says whether fallocate and copy_file_range keep setuid and
// setgid. Unlike WRITE these requests do not tell whether the caller has
// CAP_FSETID; root has it.
func mayKeepSetuid(in *fuse.InHeader) bool { return in.Uid == 0 }

// Fallocate implements fuse.RawFileSystem.
func (r *raw) Fallocate(cancel <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	err := untilKilled(cancel, in.Pid, func(cancel <-chan struct{}) error {
		return r.fs.Fallocate(cancel, in.NodeId, int64(in.Offset), int64(in.Length), in.Mode, !mayKeepSetuid(&in.InHeader))
	})
	return r.reply("fallocate", in.NodeId, err)
}

// maxCopy is the most that one COPY_FILE_RANGE may do, since its reply counts
// in 32 bits. The kernel asks again for the rest.
const maxCopy = 1 << 30

// CopyFileRange implements fuse.RawFileSystem.
func (r *raw) CopyFileRange(cancel <-chan struct{}, in *fuse.CopyFileRangeIn) (copied uint32, code fuse.Status) {
	size := int64(min(in.Len, maxCopy))
	err := untilKilled(cancel, in.Pid, func(cancel <-chan struct{}) error {
		n, err := r.fs.CopyFileRange(cancel, in.NodeId, int64(in.OffIn), in.NodeIdOut, int64(in.OffOut), size, !mayKeepSetuid(&in.InHeader))
		copied = uint32(n)
		return err
	})
	return copied, r.reply("copy_file_range", in.NodeId, err)
}

// Lseek implements fuse.RawFileSystem: SEEK_DATA and SEEK_HOLE.
func (r *raw) Lseek(_ <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	off, err := r.fs.Lseek(in.NodeId, int64(in.Offset), int(in.Whence))
	out.Offset = uint64(off)
	return r.reply("lseek", in.NodeId, err)
}

// fsyncDataOnly is the flag bit of FSYNC for fdatasync(2).
const fsyncDataOnly = 1

// Fsync implements fuse.RawFileSystem. A volatile mount says ENOSYS, which the
// kernel takes for success from then on without asking.
func (r *raw) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if r.volatile {
		return fuse.ENOSYS
	}
	return r.reply("fsync", in.NodeId, r.fs.Fsync(in.NodeId, in.FsyncFlags&fsyncDataOnly != 0))
}
