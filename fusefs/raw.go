package fusefs

import (
	"os"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/unionfs"
)

// raw answers the kernel's requests. The embedded default answers ENOSYS to
// those that are not written down here, and the kernel does without them: ACCESS
// (nobody is asked), GETLK and SETLK (the kernel has its own locks), STATX (GETATTR
// tells the same).
type raw struct {
	fuse.RawFileSystem

	fs       *unionfs.FS
	owners   owners
	volatile bool
	log      logrus.FieldLogger

	// Set by Init, before the first request.
	server            *fuse.Server
	noOpen, noOpendir bool // the kernel understands ENOSYS to OPEN, OPENDIR
	acl               bool // POSIX_ACL was negotiated
	checked           bool // the kernel checks owners and modes
	trusted           bool // root's trusted.* attributes can be read by uid 0
}

func newRaw(fs *unionfs.FS, o Options, log logrus.FieldLogger) *raw {
	return &raw{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		fs:            fs,
		volatile:      o.Volatile,
		log:           log,
		acl:           o.DefaultPermissions,
		checked:       o.DefaultPermissions,
		trusted:       inInitialUserNamespace(),
		owners: owners{
			squash: o.Squash,
			uid:    uint32(os.Geteuid()), gid: uint32(os.Getegid()),
			uids: o.UIDs, gids: o.GIDs,
		},
	}
}

// String implements fuse.RawFileSystem.
func (r *raw) String() string { return "layerfs" }

// Init implements fuse.RawFileSystem.
func (r *raw) Init(s *fuse.Server) {
	offered := s.KernelSettings().Flags64()
	r.server = s
	r.noOpen = offered&fuse.CAP_NO_OPEN_SUPPORT != 0
	r.noOpendir = offered&fuse.CAP_NO_OPENDIR_SUPPORT != 0
	r.acl = r.acl && offered&fuse.CAP_POSIX_ACL != 0
}

// Open implements fuse.RawFileSystem: there are no open files.
func (r *raw) Open(_ <-chan struct{}, _ *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if r.noOpen {
		return fuse.ENOSYS
	}
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	return fuse.OK
}

// OpenDir implements fuse.RawFileSystem, as Open does.
func (r *raw) OpenDir(_ <-chan struct{}, _ *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if r.noOpendir {
		return fuse.ENOSYS
	}
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE | fuse.FOPEN_CACHE_DIR
	return fuse.OK
}

// Flush implements fuse.RawFileSystem: nothing is held back until close(2).
func (r *raw) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.ENOSYS }

// StatFs implements fuse.RawFileSystem.
func (r *raw) StatFs(_ <-chan struct{}, in *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	s, err := r.fs.Statfs()
	if err != nil {
		return r.reply("statfs", in.NodeId, err)
	}
	*out = fuse.StatfsOut{
		Blocks: s.Blocks, Bfree: s.Bfree, Bavail: s.Bavail,
		Files: s.Files, Ffree: s.Ffree,
		Bsize: s.Bsize, Frsize: s.Frsize, NameLen: s.Namelen,
	}
	return fuse.OK
}

// Ioctl implements fuse.RawFileSystem. There are none; ENOTTY is what programs
// that ask whether a file is a terminal expect to hear.
func (r *raw) Ioctl(_ <-chan struct{}, _ *fuse.IoctlIn, _ []byte, _ *fuse.IoctlOut, _ []byte) fuse.Status {
	return fuse.Status(unix.ENOTTY)
}
