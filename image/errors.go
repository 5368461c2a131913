package image

import "errors"

// What can be wrong with an archive or a layout. Every error of this package wraps one of these (or an
// error of store, tarindex or the operating system), names the object it is about, and says what to do.
var (
	// ErrNotArchive: the source is neither a directory nor a tar (plain, gzip, zstd, bzip2 or xz).
	ErrNotArchive = errors.New("not an archive")
	// ErrNoImage: a readable source with no image in it.
	ErrNoImage = errors.New("no image found")
	// ErrTruncated: the archive ends in the middle of a file.
	ErrTruncated = errors.New("truncated archive")
	// ErrDamaged: the archive cannot be read further, or a file in it is of no use as what it should be.
	ErrDamaged = errors.New("damaged archive")
	// ErrLink: a link that leaves the archive, or that leads to itself.
	ErrLink = errors.New("bad link in archive")
	// ErrMissing: something is referred to and not there.
	ErrMissing = errors.New("missing from the archive")
	// ErrDigest: bytes that are not those which their digest promises.
	ErrDigest = errors.New("wrong digest")
	// ErrSize: bytes that are more or fewer than their descriptor says.
	ErrSize = errors.New("wrong size")
	// ErrMediaType: an object of a kind that this package cannot read.
	ErrMediaType = errors.New("unknown media type")
	// ErrPlatform: the image is not there for the platform that was asked for.
	ErrPlatform = errors.New("no such platform")
	// ErrLayerCount: a manifest and its config disagree on the number of layers.
	ErrLayerCount = errors.New("layer counts differ")
	// ErrTooLarge: a JSON document, a list or a nesting beyond every sensible size.
	ErrTooLarge = errors.New("too large")
	// ErrJSON: a document that is not the JSON it should be.
	ErrJSON = errors.New("malformed document")
	// ErrName: not an image name, or a name that cannot be given here.
	ErrName = errors.New("bad image name")
	// ErrFormat: an unknown format to save in.
	ErrFormat = errors.New("unknown format")
)
