package fusefs

import (
	"os"
	"strings"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/unionfs"
)

func (r *raw) fillEntry(out *fuse.EntryOut, e *unionfs.Entry) {
	out.NodeId = e.ID
	out.Generation = e.Generation
	out.SetEntryTimeout(forever)
	out.SetAttrTimeout(forever)
	r.fillAttr(&out.Attr, &e.Attr)
}

func (r *raw) fillAttr(out *fuse.Attr, a *unionfs.Attr) {
	uid, gid := r.owners.show(a.UID, a.GID)
	*out = fuse.Attr{
		Ino:    a.Ino,
		Size:   uint64(a.Size),
		Blocks: a.Blocks,
		// Seconds are unsigned in the struct and signed to the kernel.
		Atime: uint64(a.Atime.Sec), Atimensec: a.Atime.Nsec,
		Mtime: uint64(a.Mtime.Sec), Mtimensec: a.Mtime.Nsec,
		Ctime: uint64(a.Ctime.Sec), Ctimensec: a.Ctime.Nsec,
		Mode:    a.Mode,
		Nlink:   a.Nlink,
		Owner:   fuse.Owner{Uid: uid, Gid: gid},
		Rdev:    uint32(unix.Mkdev(a.Major, a.Minor)), // the kernel's 12 + 20 bits
		Blksize: a.Blksize,
	}
}

// GetAttr implements fuse.RawFileSystem.
func (r *raw) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	a, err := r.fs.Getattr(in.NodeId)
	if err != nil {
		return r.reply("getattr", in.NodeId, err)
	}
	out.SetTimeout(forever)
	r.fillAttr(&out.Attr, &a)
	return fuse.OK
}

// setMasks pairs the kernel's mask bits with those of unionfs.
var setMasks = []struct {
	kernel uint32
	union  unionfs.SetMask
}{
	{fuse.FATTR_MODE, unionfs.SetMode},
	{fuse.FATTR_SIZE, unionfs.SetSize},
	{fuse.FATTR_ATIME, unionfs.SetAtime},
	{fuse.FATTR_MTIME, unionfs.SetMtime},
	{fuse.FATTR_ATIME_NOW, unionfs.SetAtimeNow},
	{fuse.FATTR_MTIME_NOW, unionfs.SetMtimeNow},
}

// SetAttr implements fuse.RawFileSystem: chmod, chown, utimens, truncate and
// open with O_TRUNC.
func (r *raw) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	s := unionfs.SetAttr{
		Mode:     in.Mode & 0o7777,
		Size:     int64(in.Size),
		Atime:    unionfs.Time{Sec: int64(in.Atime), Nsec: in.Atimensec},
		Mtime:    unionfs.Time{Sec: int64(in.Mtime), Nsec: in.Mtimensec},
		KillPriv: in.Valid&fuse.FATTR_KILL_SUIDGID != 0,
	}
	for _, m := range setMasks {
		if in.Valid&m.kernel != 0 {
			s.Valid |= m.union
		}
	}
	if err := r.setOwner(in, &s); err != nil {
		return r.reply("setattr", in.NodeId, err)
	}
	var a unionfs.Attr
	err := untilKilled(cancel, in.Pid, func(cancel <-chan struct{}) (err error) {
		a, err = r.fs.Setattr(cancel, in.NodeId, s)
		return err
	})
	if err != nil {
		return r.reply("setattr", in.NodeId, err)
	}
	out.SetTimeout(forever)
	r.fillAttr(&out.Attr, &a)
	r.lendOwnership(out)
	return fuse.OK
}

// lendOwnership lets the kernel take the mounter for the owner of what he has
// just changed, in a mount where nothing is checked. It does check one thing
// before it asks us: only an owner may set an ACL (set_posix_acl). cp -p, sed -i
// and install write the mode as an ACL after a chown to somebody else, which
// only root and we allow, and would fail. Nobody gets to see it: a reply that is
// valid for no time makes the kernel ask again before it shows the attributes.
func (r *raw) lendOwnership(out *fuse.AttrOut) {
	if r.checked || out.Uid == r.owners.uid {
		return
	}
	out.Uid = r.owners.uid
	out.SetTimeout(0)
}

func (r *raw) setOwner(in *fuse.SetAttrIn, s *unionfs.SetAttr) error {
	if uid, ok := in.GetUID(); ok {
		id, keep, err := r.owners.chown(uid, false)
		if err != nil {
			return err
		}
		if keep {
			s.UID, s.Valid = id, s.Valid|unionfs.SetUID
		}
	}
	if gid, ok := in.GetGID(); ok {
		id, keep, err := r.owners.chown(gid, true)
		if err != nil {
			return err
		}
		if keep {
			s.GID, s.Valid = id, s.Valid|unionfs.SetGID
		}
	}
	return nil
}

// inInitialUserNamespace tells whether ids mean what they mean on the host.
func inInitialUserNamespace() bool {
	m, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(m)), " ") == "0 0 4294967295"
}
