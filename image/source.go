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
	// spend takes n bytes from what may be read into memory in all; false when there is not so much left.
	spend(n int64) bool
	// hint is appended to messages about missing files; empty when there is nothing to add.
	hint() string
	Close() error
}

// A file is one open file of a source.
type file interface {
	io.ReadCloser
	Size() int64
}

// limits of what is read into memory. Real manifests are a few KiB, registries refuse those above 4 MiB. They are not
// options: no tool makes an image that comes near them.
const (
	maxJSON      = 8 << 20
	maxDocuments = 64 << 20  // bytes of all JSON documents of one source; one that is read again counts again
	maxValues    = 128 << 10 // in one JSON document: `{}` in a list takes 3 bytes there and 50 times as many in memory
	maxNames     = 10000     // of all images of one list
	maxMembers   = 256 << 10 // files in one archive
	maxPaths     = 32 << 20  // bytes of their names and of the targets of links
	maxLayers    = 4096      // of one image; Docker's own limit is 127
	maxHops      = 40        // links on the way to one file, as the kernel's MAXSYMLINKS
)

// A budget is what may still be read of the documents of a source.
type budget int64

func (b *budget) spend(n int64) bool {
	*b -= budget(n)
	return *b >= 0
}

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
	if !src.spend(f.Size()) {
		return nil, fmt.Errorf("%w: with %s (%s), the image's JSON documents have more than %d bytes together; this is not an image that any tool made",
			ErrTooLarge, what, name, maxDocuments)
	}
	data := make([]byte, f.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("read %s (%s): %w", what, name, err)
	}
	return data, nil
}
