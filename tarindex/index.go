package tarindex

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An Index is the tree of one layer or of one merged chain, read straight from
// its file. It is immutable and safe for concurrent use. Opening maps the file
// and checks nothing but its header and length, so that it costs the same for
// any size; every access checks bounds, so that damage gives zero values and
// never a panic. Verify finds all damage.
//
// Strings and byte slices that the methods hand out lie in the mapping: they
// are valid until Close.
type Index struct {
	hdr    header
	data   []byte // the whole file
	mapped bool

	inodes, dirents, table, contents, links, whiteouts, foreign, strings, xattrs []byte
}

// Open maps the index file at path. The error wraps ErrFormat for a file that
// is no index or one of another version, and ErrCorrupt for a damaged one.
func Open(path string) (*Index, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	if fi.Size() < headerSize {
		return nil, fmt.Errorf("index %s: %w: only %d bytes", path, ErrFormat, fi.Size())
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(fi.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, &fs.PathError{Op: "mmap", Path: path, Err: err}
	}
	x, err := Parse(data)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("index %s: %w", path, err), unix.Munmap(data))
	}
	x.mapped = true
	return x, nil
}

// Parse makes an Index of the bytes of an index file, which it keeps.
func Parse(data []byte) (*Index, error) {
	hdr, err := parseHeader(data)
	if err != nil {
		return nil, err
	}
	x := &Index{hdr: hdr, data: data}
	rest := data[headerSize:]
	sections := []*[]byte{&x.inodes, &x.dirents, &x.table, &x.contents, &x.links, &x.whiteouts, &x.foreign, &x.strings, &x.xattrs}
	for i, n := range hdr.sizes() {
		if n > uint64(len(rest)) {
			return nil, fmt.Errorf("%w: the file is shorter than its header says", ErrCorrupt)
		}
		*sections[i], rest = rest[:n:n], rest[n:]
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("%w: %d bytes more than its header says", ErrCorrupt, len(rest))
	}
	if root, _ := x.inode(Root); !root.isDir() {
		return nil, fmt.Errorf("%w: the root is no directory", ErrCorrupt)
	}
	return x, nil
}

// Close releases the mapping. Nothing that the index handed out may be used
// afterwards.
func (x *Index) Close() error {
	if !x.mapped {
		return nil
	}
	data := x.data
	*x = Index{}
	return unix.Munmap(data)
}

// sum returns the checksum that belongs into the header of data.
func sum(data []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(data[:sumOffset])
	h.Write(data[headerSize:])
	return [sha256.Size]byte(h.Sum(nil))
}

func (x *Index) inode(i Ino) (inode, bool) {
	if uint32(i) >= x.hdr.inodes {
		return inode{}, false
	}
	off := uint64(i) * inodeSize
	return getInode(x.inodes[off : off+inodeSize]), true
}

func (x *Index) dir(i Ino) (inode, bool) {
	n, ok := x.inode(i)
	return n, ok && n.isDir()
}

func (x *Index) dirent(i uint32) (dirent, bool) {
	if i >= x.hdr.dirents {
		return dirent{}, false
	}
	off := uint64(i) * direntSize
	return getDirent(x.dirents[off : off+direntSize]), true
}

// str returns a run of the strings section, without copying.
func (x *Index) str(off, size uint32) string {
	if size == 0 || uint64(off)+uint64(size) > uint64(len(x.strings)) {
		return ""
	}
	return unsafe.String(&x.strings[off], size)
}
