package fusefs

import (
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// GetXAttr implements fuse.RawFileSystem.
func (r *raw) GetXAttr(_ <-chan struct{}, in *fuse.InHeader, name string, dest []byte) (uint32, fuse.Status) {
	v, err := r.fs.Getxattr(in.NodeId, name)
	if err != nil {
		return 0, r.reply("getxattr", in.NodeId, err)
	}
	if isACL(name) {
		v = r.owners.showACL(v)
	}
	return fit(dest, v)
}

// ListXAttr implements fuse.RawFileSystem. trusted.* is left out for those to
// whom the kernel would then deny its values, as other file systems do.
func (r *raw) ListXAttr(_ <-chan struct{}, in *fuse.InHeader, dest []byte) (uint32, fuse.Status) {
	names, err := r.fs.Listxattr(in.NodeId)
	if err != nil {
		return 0, r.reply("listxattr", in.NodeId, err)
	}
	showTrusted := r.trusted && in.Uid == 0
	var list []byte
	for _, n := range names {
		if strings.HasPrefix(n, "trusted.") && !showTrusted {
			continue
		}
		list = append(append(list, n...), 0)
	}
	return fit(dest, list)
}

// fit answers with v, or with its size if it does not fit. go-fuse makes of the
// ERANGE a good answer where the kernel asked for the size only.
func fit(dest, v []byte) (uint32, fuse.Status) {
	if len(v) > len(dest) {
		return uint32(len(v)), fuse.ERANGE
	}
	return uint32(copy(dest, v)), fuse.OK
}

// SetXAttr implements fuse.RawFileSystem.
func (r *raw) SetXAttr(_ <-chan struct{}, in *fuse.SetXAttrIn, name string, data []byte) fuse.Status {
	if isACL(name) {
		acl, err := r.owners.recordACL(data)
		if err != nil {
			return r.reply("setxattr", in.NodeId, err)
		}
		data = acl
	}
	killSGID := in.SetXAttrFlags&fuse.SETXATTR_ACL_KILL_SGID != 0
	err := r.fs.Setxattr(in.NodeId, name, data, in.Flags, killSGID)
	if err == nil && name == aclAccess && !r.acl {
		r.forgetAttr(in.NodeId)
	}
	return r.reply("setxattr", in.NodeId, err)
}

// RemoveXAttr implements fuse.RawFileSystem.
func (r *raw) RemoveXAttr(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	err := r.fs.Removexattr(in.NodeId, name)
	if err == nil && name == aclAccess && !r.acl {
		r.forgetAttr(in.NodeId)
	}
	return r.reply("removexattr", in.NodeId, err)
}

// forgetAttr makes the kernel ask for the attributes again. An access ACL is
// one thing with the mode, but a kernel without POSIX_ACL does not know it. An
// offset below zero spares the data; the call takes no lock in the kernel that a
// caller of setxattr holds. It fails only if the inode is gone, or the mount.
func (r *raw) forgetAttr(id uint64) {
	st := r.server.InodeNotify(id, -1, 0)
	if !st.Ok() && st != fuse.ENOENT && st != fuse.Status(syscall.EBADF) {
		r.log.WithField("node", id).Warnf("the kernel keeps old attributes: %v", st)
	}
}
