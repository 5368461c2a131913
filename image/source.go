package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// A source is a set of named files that can be read in any order and by several goroutines at once: a
// directory, or a tar whose members were indexed. Names are slash-separated and relative to its root;
// links lead to files of the same source and nowhere else.
type source interface {
	// open returns the regular file that name stands for. The error is fs.ErrNotExist when there is none,
	// ErrLink when a link leaves the source or goes round in circles.
	open(name string) (file, error)
	// glob returns the names that match a pattern as path.Match reads it, in no order.
	glob(pattern string) ([]string, error)
	// hint is appended to messages about missing files; empty when there is nothing to add.
	hint() string
	Close() error
}

// A file is one open file of a source.
type file interface {
	io.ReadCloser
	Size() int64
}

// limits of what is read into memory. Real manifests are a few KiB, registries refuse those above 4 MiB.
const (
	maxJSON    = 8 << 20
	maxMembers = 1 << 20 // files in one source
	maxLayers  = 4096    // of one image; Docker's own limit is 127
	maxHops    = 40      // links on the way to one file, as the kernel's MAXSYMLINKS
)

// has tells whether src has something called name. What is there and cannot be opened counts: reading it will say why.
func has(src source, name string) bool {
	f, err := src.open(name)
	if err == nil {
		f.Close()
	}
	return !errors.Is(err, fs.ErrNotExist)
}

// openMember opens a file that the image cannot do without; what says what it is for.
func openMember(src source, what, name string) (file, error) {
	f, err := src.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s (%s)%s", ErrMissing, what, name, src.hint())
	}
	if err != nil {
		return nil, fmt.Errorf("%s (%s): %w", what, name, err)
	}
	return f, nil
}

// readMember reads a small file whole.
func readMember(src source, what, name string) ([]byte, error) {
	f, err := openMember(src, what, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() > maxJSON {
		return nil, fmt.Errorf("%w: %s (%s) has %d bytes, the limit for a JSON document is %d; this is not an image that any tool made",
			ErrTooLarge, what, name, f.Size(), maxJSON)
	}
	data := make([]byte, f.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("read %s (%s): %w", what, name, err)
	}
	return data, nil
}
