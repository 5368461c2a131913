package tarindex

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// The errors that callers tell apart. Every error of this package wraps one of
// them, or comes unchanged from a reader, writer or Sink of the caller.
var (
	// ErrFormat: the file is no index, or an index of another format version.
	ErrFormat = errors.New("not an index of this version")
	// ErrCorrupt: the file is damaged.
	ErrCorrupt = errors.New("corrupt")
	// ErrNotTar: the stream is no tar, or stops being one before its end.
	ErrNotTar = errors.New("not a tar archive")
	// ErrTruncated: the stream ends in the middle of an entry or of its
	// compressed form.
	ErrTruncated = errors.New("truncated")
	// ErrLimit: the stream exceeds one of Limits.
	ErrLimit = errors.New("limit exceeded")
	// ErrDigest: bytes do not have the digest that they are known by.
	ErrDigest = errors.New("wrong digest")
	// ErrName: a name that a layer tar cannot carry.
	ErrName = errors.New("bad name")
)

// A Hash is the SHA-256 of one content: all bytes of one regular file.
type Hash [32]byte

// String returns the 64 lower-case hexadecimal digits of the hash.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash is the inverse of Hash.String.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*len(h) {
		return Hash{}, fmt.Errorf("content hash %q: want %d hexadecimal digits", s, 2*len(h))
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return Hash{}, fmt.Errorf("content hash %q: %w", s, err)
	}
	return h, nil
}

// An Ino is the number of an inode in one Index: 0 to Len()-1, without gaps.
type Ino uint32

// Root is the number of the root directory in every Index.
const Root Ino = 0

// A Time is seconds and nanoseconds since the epoch; Nsec is 0 to 999999999
// also before the epoch, as in struct timespec.
type Time struct {
	Sec  int64
	Nsec uint32
}

// Attr is what stat(2) tells of an inode.
type Attr struct {
	Mode         uint32 // S_IFMT | 07777
	UID, GID     uint32
	Nlink        uint32 // names of the inode; a directory: 2 + its subdirectories
	Major, Minor uint32 // of a device, else 0
	Size         int64  // regular file: bytes; symbolic link: length of its target; else 0
	Mtime        Time
}

// The file types in Attr.Mode (S_IFMT and friends of inode(7)).
const (
	ModeType    = 0o170000
	ModeDir     = 0o040000
	ModeRegular = 0o100000
	ModeSymlink = 0o120000
	ModeChar    = 0o020000
	ModeBlock   = 0o060000
	ModeFIFO    = 0o010000
	ModeSocket  = 0o140000
)

// IsDir reports whether the inode is a directory.
func (a Attr) IsDir() bool { return a.Mode&ModeType == ModeDir }

// A Link is one name of an inode.
type Link struct {
	Dir  Ino
	Name string
}

// An Xattr is one extended attribute.
type Xattr struct {
	Name  string
	Value []byte
}
