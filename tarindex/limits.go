package tarindex

import "cmp"

// Limits bound what Scan accepts. A zero field means the default.
type Limits struct {
	Entries int    // entries of the tar, and inodes of its tree; default 16 Mi
	Names   int64  // bytes of all names, link targets and extended attributes; default 1 GiB
	Depth   int    // directories in one path; default 1024
	Size    int64  // uncompressed bytes, also of sparse files' holes; default 1 TiB
	Ratio   int64  // uncompressed to compressed bytes, beyond the first 64 MiB; default 100000
	Window  uint64 // memory that a zstd frame may ask for, in bytes; default 32 MiB
}

var defaultLimits = Limits{
	Entries: 16 << 20,
	Names:   1 << 30,
	Depth:   1024,
	Size:    1 << 40,
	Ratio:   100000,
	Window:  32 << 20,
}

func (l Limits) orDefault() Limits {
	return Limits{
		Entries: cmp.Or(l.Entries, defaultLimits.Entries),
		Names:   cmp.Or(l.Names, defaultLimits.Names),
		Depth:   cmp.Or(l.Depth, defaultLimits.Depth),
		Size:    cmp.Or(l.Size, defaultLimits.Size),
		Ratio:   cmp.Or(l.Ratio, defaultLimits.Ratio),
		Window:  cmp.Or(l.Window, defaultLimits.Window),
	}
}
