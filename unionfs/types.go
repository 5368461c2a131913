package unionfs

import (
	"os"

	"github.com/layerfs/layerfs/tarindex"
)

// RootID is the node id of the root directory; also its inode number.
const RootID = 1

// Options says what New makes a union of.
type Options struct {
	// Lower is the merged index of the chain, not nil; for an empty chain the
	// index of an empty tree. The FS does not close it.
	Lower *tarindex.Index
	// Open opens the content of that hash and size, which Lower refers to, for
	// reading: its bytes are the size bytes of f from off on. A file may hold
	// many contents; one that holds a single content, from off 0 to its end, is
	// cloned where the file system can, and keeps its holes. The FS closes f.
	// Open is called from many goroutines. Not nil if Lower has contents.
	Open func(h tarindex.Hash, size int64) (f *os.File, off int64, err error)
	// Upper and Work are existing directories of one file system, which has to
	// support user xattrs. Both belong to this FS alone until Close, so the
	// caller has to hold whatever lock guards them. Both empty: the union is
	// read-only and shows Lower.
	Upper, Work string
	// ReadOnlyUpper shows Upper, and changes neither it nor Work: for looking
	// at the RW layer of another process. Work is not used and may be empty.
	ReadOnlyUpper bool
	// Volatile skips every fsync, also at Close.
	Volatile bool
}

// Cred is who makes a new file.
type Cred struct {
	UID, GID uint32
	// Umask is taken from the mode of new files and directories, unless their
	// directory has a default ACL. 0 if the caller has applied it already.
	Umask uint32
}

// Time is a time stamp: seconds since the epoch, nanoseconds 0 to 999999999.
type Time = tarindex.Time

// Attr is what stat(2) tells of an object.
type Attr struct {
	Ino                 uint64 // equal to the node id
	Size                int64  // bytes; symlink: length of its target; directory: 4096; else 0
	Blocks              uint64 // of 512 bytes
	Atime, Mtime, Ctime Time
	Mode                uint32 // S_IFMT | 07777
	Nlink               uint32 // names; a directory: 2 + its subdirectories; 0 when removed
	UID, GID            uint32
	Major, Minor        uint32 // of a device
	Blksize             uint32
}

// Entry is what a name leads to. Whoever is given one holds a reference on ID
// until Forget.
type Entry struct {
	ID         uint64
	Generation uint64 // tells apart objects that had the same ID one after the other
	Attr       Attr
}

// DirEntry is one name in a listing.
type DirEntry struct {
	Name string
	Ino  uint64
	Type uint32 // the S_IFMT bits
	Off  uint64 // pass to Readdir to go on behind this entry
}

// SetAttr is what Setattr shall change: the fields named in Valid.
type SetAttr struct {
	Valid        SetMask
	Mode         uint32 // 07777; the type bits are ignored
	UID, GID     uint32
	Size         int64
	Atime, Mtime Time
	KillPriv     bool // with SetSize: the caller has no CAP_FSETID, clear setuid and setgid
}

// SetMask names fields of SetAttr.
type SetMask uint32

// The fields of SetAttr. SetAtimeNow and SetMtimeNow set the present time and
// win over SetAtime and SetMtime.
const (
	SetMode SetMask = 1 << iota
	SetUID
	SetGID
	SetSize
	SetAtime
	SetMtime
	SetAtimeNow
	SetMtimeNow
)

// Statfs is what statfs(2) tells, in the units of its fields.
type Statfs struct {
	Bsize, Frsize         uint32
	Blocks, Bfree, Bavail uint64 // of Frsize bytes
	Files, Ffree          uint64
	Namelen               uint32
}
