package store

import (
	"fmt"
	"io"
	"os"

	"github.com/layerfs/layerfs/tarindex"
)

// The pool of contents has two forms, and the size alone decides which: a content of up to packedMax lies in a pack,
// packs/<name>, with all that came in with it; a larger one is a file of its own, content/ab/cdef... Most contents are
// small, and a file for each of them would cost more than all else. Large ones gain from being files: they are cloned,
// keep their holes, and are deleted one by one.
//
// Stores from before there were packs have small contents as files, too. They are looked for where the packs have no
// such content; who imports the same file again writes it into a pack, and the next collection takes the file.
const packedMax = 256 << 10 // what tarindex hands over in one piece

// contentPath is where the file of a content is, relative to the root: content/ab/cdef... The first byte is a directory of
// its own because 256 directories of a thousand files list and sync faster than one of a quarter million.
func contentPath(h tarindex.Hash) (dir, name string) {
	hex := h.String()
	return "content/" + hex[:2], hex[2:]
}

// OpenContent opens the content of that hash and size for reading: its bytes are the size bytes of f from off on. They
// never change, and every layer that has such a file shares them; the caller closes f. A content that is not there is
// ErrCorrupt: a hash is known from an index only.
func (s *Store) OpenContent(h tarindex.Hash, size int64) (f *os.File, off int64, err error) {
	if size <= packedMax {
		p, e, err := s.packs.lookup(h, size)
		if err != nil {
			return nil, 0, fmt.Errorf("content %s: %w", h, err)
		}
		if p != nil {
			defer p.release()
			f, err := p.dup()
			return f, e.Off, err
		}
	}
	dir, name := contentPath(h)
	if f, err = os.Open(s.path(dir, name)); gone(err) {
		err = s.missingContent(h, size)
	}
	return f, 0, err
}

// readContent is OpenContent for who reads the whole content at once, without a descriptor of its own; and who knows no
// size, so that the packs are asked for large ones, too.
func (s *Store) readContent(h tarindex.Hash) (io.ReadCloser, error) {
	p, e := s.packs.find(h, anySize)
	if p == nil {
		dir, name := contentPath(h)
		f, err := os.Open(s.path(dir, name))
		if !gone(err) {
			return f, err
		}
		if p, e, err = s.packs.lookup(h, anySize); err != nil {
			return nil, err
		}
	}
	if p == nil {
		return nil, s.missingContent(h, anySize)
	}
	return &packReader{p.Section(e), p}, nil
}

// A packReader reads one content of a pack.
type packReader struct {
	*io.SectionReader
	pack *openPack
}

// Close implements io.Closer.
func (r *packReader) Close() error {
	r.pack.release()
	return nil
}

// findContent tells what is wrong with a content without reading it: nil, or ErrCorrupt if it is missing or has another
// size.
func (s *Store) findContent(h tarindex.Hash, size int64) error {
	if size <= packedMax {
		p, _, err := s.packs.lookup(h, size)
		if p != nil {
			p.release()
		}
		if p != nil || err != nil {
			return err
		}
	}
	dir, name := contentPath(h)
	fi, err := os.Lstat(s.path(dir, name))
	switch {
	case gone(err):
		return s.missingContent(h, size)
	case err != nil:
		return err
	case !fi.Mode().IsRegular():
		return corrupt(s.path(dir, name), "it is a %s instead of a file", fi.Mode().Type())
	case fi.Size() != size:
		return corrupt(s.path(dir, name), "it has %d bytes, the index says %d", fi.Size(), size)
	}
	return nil
}

// missingContent is the error for a content that is nowhere.
func (s *Store) missingContent(h tarindex.Hash, size int64) error {
	if size > packedMax {
		dir, name := contentPath(h)
		return corrupt(s.path(dir, name), "this file content is missing")
	}
	s.packs.mu.RLock()
	damaged := s.packs.damaged
	s.packs.mu.RUnlock()
	if len(damaged) > 0 {
		return fmt.Errorf("the file content %s is missing: %w", h, damaged[0])
	}
	return corrupt(s.packs.dir, "the file content %s is in none of the packs", h)
}
