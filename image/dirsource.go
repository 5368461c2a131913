package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// dirSource is a directory on disk. os.Root keeps every name and every link inside it.
type dirSource struct {
	root *os.Root
	budget
}

type dirFile struct {
	*os.File
	size int64
}

func (f dirFile) Size() int64 { return f.size }

func openDir(path string) (*dirSource, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &dirSource{root, maxDocuments}, nil
}

func (s *dirSource) open(name string) (file, error) {
	// O_NONBLOCK: opening a FIFO must not wait for its writer.
	f, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			return nil, fs.ErrNotExist
		case errors.Is(err, syscall.ELOOP):
			return nil, fmt.Errorf("%w: the links of %s never end", ErrLink, name)
		case errors.Is(err, fs.ErrPermission), isErrno(err):
			return nil, err
		}
		// os.Root has no error value of its own for a path that escapes.
		return nil, fmt.Errorf("%w: %w; copy the file in place of the link", ErrLink, err)
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is not a regular file", ErrDamaged, name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return dirFile{f, fi.Size()}, nil
}

func isErrno(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno)
}

func (s *dirSource) glob(pattern string) ([]string, error) { return fs.Glob(s.root.FS(), pattern) }

func (s *dirSource) hint() string { return "" }

func (s *dirSource) Close() error { return s.root.Close() }
