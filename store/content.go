package store

import (
	"fmt"
	"os"

	"github.com/layerfs/layerfs/tarindex"
)

// contentPath is where a content is, relative to the root: content/ab/cdef... The first byte is a directory of its own
// because 256 directories of a thousand files list and sync faster than one of a quarter million.
func contentPath(h tarindex.Hash) (dir, name string) {
	hex := h.String()
	return "content/" + hex[:2], hex[2:]
}

// OpenContent opens the content of that hash and size for reading: its bytes are the size bytes of f from off on. They
// never change, and every layer that has such a file shares them; the caller closes f. A content that is not there is
// ErrCorrupt: a hash is known from an index only.
func (s *Store) OpenContent(h tarindex.Hash, size int64) (f *os.File, off int64, err error) {
	dir, name := contentPath(h)
	f, err = os.Open(s.path(dir, name))
	if gone(err) {
		return nil, 0, corrupt(s.path(dir, name), "this file content is missing")
	}
	return f, 0, err
}

// hasContent tells whether a content of that size is in the pool. One of another size is damaged and counts as
// missing, so that the next import of the same file puts it right.
func (s *Store) hasContent(h tarindex.Hash, size int64) (bool, error) {
	dir, name := contentPath(h)
	fi, err := os.Lstat(s.path(dir, name))
	if gone(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for content %s: %w", h, err)
	}
	return fi.Mode().IsRegular() && fi.Size() == size, nil
}
