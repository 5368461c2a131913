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
	contents contentList
}

// WriteIndex writes the layer's own index: input of Merge, not of a mount.
func (l *Layer) WriteIndex(w io.Writer) error { return l.tree.write(w, &l.contents) }

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
	s, err := newScan(ctx, r, sink, rec, o.Limits.orDefault())
	if err != nil {
		return nil, err
	}
	return s.run()
}

// A scan is its stages, which channels connect.
type scan struct {
	ctx      context.Context
	fail     context.CancelCauseFunc
	inlet    *inlet
	parser   *parser
	recorder *recorder
	tasks    chan task
	sink     Sink
}

func newScan(ctx context.Context, r io.Reader, sink Sink, rec io.Writer, l Limits) (*scan, error) {
	blocks, tasks, batches := make(chan *block, ringSize), make(chan task, ringSize), make(chan *batch, ringSize)
	recorder, err := newRecorder(batches, rec)
	if err != nil {
		return nil, fmt.Errorf("write the record: %w", err)
	}
	ctx, fail := context.WithCancelCause(ctx)
	return &scan{
		ctx: ctx, fail: fail, tasks: tasks, sink: sink, recorder: recorder,
		inlet:  &inlet{r: r, limits: l, ring: newRing(), out: blocks, read: newFingerprint()},
		parser: newParser(ctx, blocks, newBatcher(ctx, tasks, batches), l),
	}, nil
}

func (s *scan) run() (*Layer, error) {
	defer s.fail(nil)
	var stages sync.WaitGroup
	stage := func(run func() error) {
		stages.Go(func() {
			if err := run(); err != nil {
				s.fail(err)
			}
		})
	}
	stage(func() error { return s.inlet.run(s.ctx) })
	stage(s.parser.run)
	stage(func() error { return s.recorder.run(s.ctx) })
	for range runtime.GOMAXPROCS(0) + 1 {
		stage(func() error { return storeContents(s.ctx, s.tasks, s.sink) })
	}
	stages.Wait()
	if err := context.Cause(s.ctx); err != nil {
		return nil, err
	}
	freeRing(s.inlet.ring)
	in, parser, recorder := s.inlet, s.parser, s.recorder
	recorder.contents.seal()
	diffID, err := recorder.proof.diffID(&in.read)
	if err != nil {
		return nil, err
	}
	return &Layer{
		DiffID: diffID, Size: in.read.size,
		CompressedDigest: in.in.digest(diffID), CompressedSize: in.in.n, Compression: in.compression,
		Entries: parser.entries, ContentBytes: recorder.bytes, Warnings: parser.warned(),
		tree: parser.tree, contents: recorder.contents,
	}, nil
}
