package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/layerfs/layerfs/tarindex"
)

// A largeWriter takes in one large content, whose hash is known only at its end. Of an image that was built anew most
// are in the pool. So what comes is compared with the contents there that have the same length, and written only when it
// is like none of them: to read what is in memory costs a fraction of writing it for nothing.
type largeWriter struct {
	pool  *pool
	size  int64       // so far
	twins []*twin     // contents of the pool that begin with what has come
	wrong []*twin     // those of the same length that do not
	new   *sparseFile // what has come, if there are no twins
}

// A twin is a content of the pool that may be the one that comes.
type twin struct {
	*os.File
	hash tarindex.Hash
}

// twinsMax is how many contents of one length are compared with. Seldom are there two.
const twinsMax = 4

// Create implements tarindex.Sink.
func (p *pool) Create(size int64) (tarindex.ContentWriter, error) {
	w := &largeWriter{pool: p}
	for _, h := range p.store.lengths.with(size, p.store) {
		dir, name := contentPath(h)
		if f, err := os.Open(p.store.path(dir, name)); err == nil {
			w.twins = append(w.twins, &twin{f, h})
		}
		if len(w.twins) == twinsMax {
			break
		}
	}
	if len(w.twins) > 0 {
		return w, nil
	}
	return w, w.begin()
}

// begin makes the file for what is new.
func (w *largeWriter) begin() (err error) {
	w.new, err = createSparse(filepath.Join(w.pool.dir, fmt.Sprintf("new-%d", w.pool.names.Add(1))))
	return err
}

// Write implements io.Writer.
func (w *largeWriter) Write(b []byte) (n int, err error) {
	if w.new == nil {
		if err := w.compare(b); err != nil {
			return 0, err
		}
	}
	if n = len(b); w.new != nil {
		n, err = w.new.Write(b)
	}
	w.size += int64(n)
	return n, err
}

// compare parts with the twins that do not go on with b. If none is left, what it had in common with the last one
// becomes the beginning of the new file.
func (w *largeWriter) compare(b []byte) error {
	for _, t := range slices.Clone(w.twins) {
		if goesOn(t, w.size, b) {
			continue
		}
		if len(w.twins) == 1 {
			if err := w.copy(t); err != nil {
				return err
			}
		}
		w.twins = slices.DeleteFunc(w.twins, func(o *twin) bool { return o == t })
		w.wrong = append(w.wrong, t)
		_ = t.Close()
	}
	return nil
}

// copy makes the new file with what has come so far, which t begins with.
func (w *largeWriter) copy(t *twin) error {
	if err := w.begin(); err != nil {
		return err
	}
	_, err := io.Copy(w.new, io.NewSectionReader(t, 0, w.size))
	return err
}

// goesOn tells whether f has the bytes b at off. What cannot be read is not equal.
func goesOn(f io.ReaderAt, off int64, b []byte) bool {
	buf := make([]byte, min(len(b), 64<<10))
	for len(b) > 0 {
		n := min(len(b), len(buf))
		if k, _ := f.ReadAt(buf[:n], off); k < n || !bytes.Equal(buf[:n], b[:n]) {
			return false
		}
		b, off = b[n:], off+int64(n)
	}
	return true
}

// Commit implements tarindex.ContentWriter. A content of the pool that has this hash for its name and other bytes is
// damaged, and gives way.
func (w *largeWriter) Commit(h tarindex.Hash) error {
	damaged := slices.ContainsFunc(w.wrong, func(t *twin) bool { return t.hash == h })
	mine, err := w.pool.claimLarge(h, w.size, damaged)
	if !mine || err != nil {
		return errors.Join(err, w.Abort())
	}
	if w.new == nil {
		// The twin is what came, but not what its name says.
		if err := w.copy(w.twins[0]); err != nil {
			return errors.Join(err, w.Abort())
		}
	}
	w.closeTwins()
	if err := w.new.close(); err != nil {
		return err
	}
	return os.Rename(w.new.f.Name(), filepath.Join(w.pool.dir, h.String()))
}

// Abort implements tarindex.ContentWriter.
func (w *largeWriter) Abort() error {
	w.closeTwins()
	if w.new == nil {
		return nil
	}
	return w.new.remove()
}

func (w *largeWriter) closeTwins() {
	for _, t := range w.twins {
		_ = t.Close()
	}
	w.twins = nil
}

// lengths are those of the files in content/, as they were when it was first asked for them: a hint, where to look for
// what may be there. What has come or gone since only costs a write for nothing.
type lengths struct {
	list sync.Once
	of   map[int64][]tarindex.Hash
}

// with gives the contents of that size.
func (l *lengths) with(size int64, s *Store) []tarindex.Hash {
	l.list.Do(func() {
		l.of = map[int64][]tarindex.Hash{}
		// Of an error who commits complains.
		_ = s.walk("content", func(path string, fi fs.FileInfo) {
			h, err := tarindex.ParseHash(strings.ReplaceAll(path, "/", ""))
			if err == nil && fi.Mode().IsRegular() && fi.Size() > packedMax {
				l.of[fi.Size()] = append(l.of[fi.Size()], h)
			}
		})
	})
	return l.of[size]
}
