package unionfs

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// A source is what the data of a regular file is read from: size bytes of d
// from d.base on. Behind them may be what is another file's.
type source struct {
	d    *descriptor // nil: the file is empty
	size int64       // -1: all that d has
}

// section gives the first n bytes of the data.
func (s source) section(n int64) io.Reader {
	if s.d == nil {
		return strings.NewReader("")
	}
	if s.size >= 0 {
		n = min(n, s.size)
	}
	return io.NewSectionReader(s.d, s.d.base, n)
}

func (s source) release() {
	if s.d != nil {
		s.d.release()
	}
}

// source opens the data of the regular file id. Once the data is copied up it
// is that of the upper for every reader, also for who began to read before.
func (f *FS) source(id uint64) (source, error) {
	f.mu.RLock()
	o, err := f.object(id)
	if err != nil {
		f.mu.RUnlock()
		return source{}, err
	}
	s, low, err := f.upperData(o)
	f.mu.RUnlock()
	return f.orLower(s, low, err)
}

// sourceOf is source for who holds FS.mu.
func (f *FS) sourceOf(o object) (source, error) { return f.orLower(f.upperData(o)) }

// upperData opens the data of o if it is in the upper, or else tells of which
// lower inode it is the data, and how much.
func (f *FS) upperData(o object) (source, tarindex.Ino, error) {
	switch m := f.meta(o); {
	case m.isDir():
		return source{}, 0, syscall.EISDIR
	case !m.isReg():
		return source{}, 0, syscall.EINVAL
	}
	low, _ := o.lowerPart()
	if o.n == nil || o.n.backing == 0 {
		return source{size: -1}, low, nil
	}
	if !o.n.metacopy.Load() {
		d, err := f.upperFile(o.n)
		return source{d, -1}, 0, err
	}
	a, err := f.upperAttr(o.n)
	return source{size: a.Size}, low, err
}

// orLower completes what upperData says. It needs no lock, for a lower never
// changes.
func (f *FS) orLower(s source, low tarindex.Ino, err error) (source, error) {
	if err != nil || s.d != nil {
		return s, err
	}
	if size := f.lower.Attr(low).Size; s.size < 0 || s.size > size {
		s.size = size
	}
	s.d, err = f.lowerContent(low)
	return s, err
}

// upperFile returns the descriptor of the upper part of a regular file. FS.mu
// is held.
func (f *FS) upperFile(n *node) (*descriptor, error) {
	return f.files.get(descriptorKey{id: n.id}, func() (*descriptor, error) {
		l, err := f.at(n)
		if err != nil {
			return nil, err
		}
		defer l.release()
		if f.readOnly {
			return opened(l.open(unix.O_RDONLY))
		}
		return opened(l.open(unix.O_RDWR))
	})
}

// lowerContent returns the content of a lower file; nil for the empty file.
func (f *FS) lowerContent(i tarindex.Ino) (*descriptor, error) {
	h, ok := f.lower.Content(i)
	if !ok {
		return nil, nil
	}
	return f.files.get(descriptorKey{id: lowerID(i), lower: true}, func() (*descriptor, error) {
		file, base, err := f.open(h, f.lower.Attr(i).Size)
		if err != nil {
			return nil, contentError(h, err)
		}
		d := newDescriptor(file)
		d.base = base
		return d, nil
	})
}

// contentError makes sure that a damaged pool is an I/O error to the reader of
// a file, and not that the file does not exist.
func contentError(h tarindex.Hash, err error) error {
	for _, busy := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, busy) {
			return busy
		}
	}
	return &unreadable{h, err}
}

// unreadable says why a content cannot be read. It is EIO, whatever errno is the
// reason, for that is not the caller's; in all else it is err.
type unreadable struct {
	h   tarindex.Hash
	err error
}

func (e *unreadable) Error() string {
	return fmt.Sprintf("%v: content %s: %v", syscall.EIO, e.h, e.err)
}
func (e *unreadable) Unwrap() error { return syscall.EIO }

func (e *unreadable) Is(target error) bool {
	_, errno := target.(syscall.Errno)
	return !errno && errors.Is(e.err, target)
}

// Read reads from the regular file id into p, as pread(2): short only at the
// end of the file.
func (f *FS) Read(id uint64, p []byte, off int64) (int, error) {
	s, err := f.source(id)
	if err != nil || s.d == nil {
		return 0, err
	}
	defer s.release()
	if s.size >= 0 {
		p = p[:max(0, min(int64(len(p)), s.size-off))]
	}
	return preadAll(s.d.fd, p, s.d.base+off)
}

func preadAll(fd int, p []byte, off int64) (int, error) {
	for done := 0; ; {
		var n int
		err := retry(func() (err error) {
			n, err = unix.Pread(fd, p[done:], off+int64(done))
			return err
		})
		if err != nil {
			return done, err
		}
		if done += n; n == 0 || done == len(p) {
			return done, nil
		}
	}
}

// Lseek answers SEEK_DATA and SEEK_HOLE; ENXIO behind the end of the file.
func (f *FS) Lseek(id uint64, off int64, whence int) (int64, error) {
	if whence != unix.SEEK_DATA && whence != unix.SEEK_HOLE {
		return 0, syscall.EINVAL
	}
	s, err := f.source(id)
	if err != nil {
		return 0, err
	}
	defer s.release()
	if s.d == nil || off < 0 || s.size >= 0 && off >= s.size {
		return 0, syscall.ENXIO
	}
	if s.d.base != 0 { // among others: a file has no holes where they lie
		if whence == unix.SEEK_HOLE {
			off = s.size
		}
		return off, nil
	}
	pos, err := unix.Seek(s.d.fd, off, whence)
	switch {
	case err != nil || s.size < 0:
		return pos, err
	case whence == unix.SEEK_DATA && pos >= s.size:
		return 0, syscall.ENXIO
	}
	return min(pos, s.size), nil
}

// Statfs describes the file system of the upper, or the lower alone if there
// is none.
func (f *FS) Statfs() (Statfs, error) {
	if f.root == nil {
		return f.lowerStatfs(), nil
	}
	l := location{d: f.root.pin}
	var st unix.Statfs_t
	if err := unix.Fstatfs(l.d.fd, &st); err != nil {
		return Statfs{}, err
	}
	return Statfs{
		Bsize: uint32(st.Bsize), Frsize: uint32(st.Frsize), Blocks: st.Blocks, Bfree: st.Bfree, Bavail: st.Bavail,
		Files: st.Files, Ffree: st.Ffree, Namelen: uint32(st.Namelen),
	}, nil
}

// lowerStatfs shows a file system that is just full.
func (f *FS) lowerStatfs() Statfs {
	var blocks uint64 = 1
	for _, size := range f.lower.Contents() {
		blocks += uint64(size+blockSize-1) / blockSize
	}
	return Statfs{Bsize: blockSize, Frsize: blockSize, Blocks: blocks, Files: uint64(f.lower.Len()), Namelen: unix.NAME_MAX}
}
