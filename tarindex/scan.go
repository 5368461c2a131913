package tarindex

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/opencontainers/go-digest"
)

// ScanOptions are the options of Scan.
type ScanOptions struct {
	Limits Limits
}

// A Layer is what Scan found.
type Layer struct {
	DiffID digest.Digest // of the uncompressed bytes
	Size   int64         // their number

	CompressedDigest digest.Digest // of the bytes as they came
	CompressedSize   int64
	Compression      Compression

	Entries      int      // of the tar
	ContentBytes int64    // of all contents, repeated ones counted again
	Warnings     []string // entries that are kept for export but not in the tree, and why

	tree     *tree
	contents []contentRecord
}

// WriteIndex writes the layer's own index: input of Merge, not of a mount.
func (l *Layer) WriteIndex(w io.Writer) error { return l.tree.write(w, l.contents) }

// Scan reads one layer, compressed or not, to the very end of r. It hands the
// contents of its files to sink and writes its record to rec. What it returns
// is proven: the bytes that Assemble will make of the record and the contents
// have the layer's DiffID.
//
// The error wraps ErrNotTar, ErrTruncated, ErrCorrupt or ErrLimit if the stream
// is at fault; else it is the error of r, sink, rec or ctx. Scan returns only
// when it does not use r any more, so a caller that cancels ctx must also make
// a blocked Read of r return.
//
// Memory is bounded whatever the stream, except for what becomes the index.
func Scan(ctx context.Context, r io.Reader, sink Sink, rec io.Writer, o ScanOptions) (*Layer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limits := o.Limits.orDefault()

	toHash, toParse := make(chan *block, ringSize), make(chan *block, ringSize)
	pieces, contents := make(chan piece, 128), make(chan *content, 32)
	in := newInlet(r, limits, newRing(), toHash, toParse)
	parse := newParser(ctx, toParse, pieces, contents, limits)
	record, err := newRecorder(rec)
	if err != nil {
		return nil, fmt.Errorf("write the record: %w", err)
	}
	var diffID digest.Digest

	var stages sync.WaitGroup
	stage := func(run func() error) {
		stages.Go(func() {
			if err := run(); err != nil {
				cancel(err)
			}
		})
	}
	stage(func() error { return in.run(ctx) })
	stage(func() (err error) { diffID, err = hashBlocks(ctx, toHash); return err })
	stage(parse.run)
	stage(func() error { return record.run(ctx, pieces) })
	for range runtime.GOMAXPROCS(0) + 1 {
		stage(func() error { return storeContents(ctx, contents, sink) })
	}
	stages.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if proof := record.digest(); proof != diffID {
		return nil, fmt.Errorf("%w: the layer %s was recorded as %s; please report this", ErrDigest, diffID, proof)
	}
	return &Layer{
		DiffID: diffID, Size: in.size,
		CompressedDigest: in.in.digest(), CompressedSize: in.in.n, Compression: in.compression,
		Entries: parse.entries, ContentBytes: record.bytes, Warnings: parse.warned(),
		tree: parse.tree, contents: record.contents,
	}, nil
}
