package tarindex

import (
	"cmp"
	"fmt"
	"math"
)

// Limits bound what a stream may ask for. A zero field means the default, which
// docs/semantics.md justifies: no layer that people make comes near it.
//
// They bound what a tar says. How much memory a scan takes beside its tree does
// not depend on them, but for Header and Window.
type Limits struct {
	Entries int64 // entries of the tar, and inodes of its tree
	Names   int64 // bytes of all names, link targets and extended attributes
	Path    int64 // bytes of one name
	Depth   int64 // directories in one path
	Links   int64 // directories looked up on the way through symbolic links, in all
	Header  int64 // bytes of all headers of one entry; one extended header has at most 1 MiB
	Size    int64 // uncompressed bytes
	Sparse  int64 // bytes of all sparse files, holes counted
	Ratio   int64 // uncompressed to compressed bytes, beyond the first 64 MiB
	Window  int64 // bytes of a zstd window or an xz dictionary, all of them in memory
}

var defaultLimits = Limits{
	Entries: 16 << 20,
	Names:   1 << 30,
	Path:    64 << 10,
	Depth:   1024,
	Links:   64 << 20,
	Header:  4 << 20,
	Size:    1 << 40,
	Sparse:  64 << 30,
	Ratio:   40_000,
	Window:  32 << 20,
}

// A Limit is one field of Limits, for those who let people set it by name.
type Limit struct {
	Name    string
	Bounds  string // what it bounds, in words
	Bytes   bool   // it is a number of bytes
	Default int64
	field   func(*Limits) *int64
}

// In returns the field of l.
func (k Limit) In(l *Limits) *int64 { return k.field(l) }

// AllLimits are the fields of Limits, in their order.
var AllLimits = []Limit{
	{"entries", "entries of a layer, and its files and directories", false, defaultLimits.Entries, func(l *Limits) *int64 { return &l.Entries }},
	{"names", "all names, link targets and extended attributes together", true, defaultLimits.Names, func(l *Limits) *int64 { return &l.Names }},
	{"path", "one name", true, defaultLimits.Path, func(l *Limits) *int64 { return &l.Path }},
	{"depth", "directories in one path", false, defaultLimits.Depth, func(l *Limits) *int64 { return &l.Depth }},
	{"links", "directories looked up through symbolic links, in all", false, defaultLimits.Links, func(l *Limits) *int64 { return &l.Links }},
	{"header", "all headers of one entry", true, defaultLimits.Header, func(l *Limits) *int64 { return &l.Header }},
	{"size", "the uncompressed stream", true, defaultLimits.Size, func(l *Limits) *int64 { return &l.Size }},
	{"sparse", "all sparse files with their holes", true, defaultLimits.Sparse, func(l *Limits) *int64 { return &l.Sparse }},
	{"ratio", "uncompressed to compressed bytes, beyond the first 64 MiB", false, defaultLimits.Ratio, func(l *Limits) *int64 { return &l.Ratio }},
	{"window", "memory for a zstd window or an xz dictionary", true, defaultLimits.Window, func(l *Limits) *int64 { return &l.Window }},
}

// entriesMax is what the numbers of nodes can count.
const entriesMax = math.MaxInt32

// orDefault puts the default into every field that is not set.
func (l Limits) orDefault() Limits {
	for _, k := range AllLimits {
		f := k.In(&l)
		*f = cmp.Or(*f, k.Default)
	}
	l.Entries = min(l.Entries, entriesMax)
	return l
}

// A LimitError says which limit a stream exceeds. It wraps ErrLimit.
type LimitError struct {
	Limit string // the Name of a Limit
	Max   int64
	what  string
}

func (e *LimitError) Error() string { return fmt.Sprintf("%v: %s", ErrLimit, e.what) }

func (e *LimitError) Unwrap() error { return ErrLimit }

// exceeded makes a LimitError. The format's %d is for its value.
func (l *Limits) exceeded(name, format string) error {
	for _, k := range AllLimits {
		if k.Name == name {
			return &LimitError{name, *k.In(l), fmt.Sprintf(format, *k.In(l))}
		}
	}
	panic("tarindex: no limit is called " + name)
}
