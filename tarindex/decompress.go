package tarindex

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// Compression is how a layer was compressed.
type Compression string

// The compressions that Decompress knows.
const (
	None  Compression = "none"
	Gzip  Compression = "gzip"
	Zstd  Compression = "zstd"
	Bzip2 Compression = "bzip2"
	Xz    Compression = "xz"
)

// magicMax is how many bytes detect wants to see.
const magicMax = 10

// detect tells the compression by the first bytes of a stream. Bzip2 must show
// the magic of its first block too, because "BZh9" may begin the name of the
// first file of a tar.
func detect(b []byte) Compression {
	switch {
	case bytes.HasPrefix(b, []byte("\x1f\x8b\x08")):
		return Gzip
	case bytes.HasPrefix(b, []byte("\x28\xb5\x2f\xfd")):
		return Zstd
	case len(b) >= 4 && b[0]&0xf0 == 0x50 && bytes.Equal(b[1:4], []byte("\x2a\x4d\x18")): // skippable frame
		return Zstd
	case bytes.HasPrefix(b, []byte("\xfd7zXZ\x00")):
		return Xz
	case len(b) >= 10 && bytes.HasPrefix(b, []byte("BZh")) &&
		(string(b[4:10]) == "1AY&SY" || string(b[4:10]) == "\x17\x72\x45\x38\x50\x90"):
		return Bzip2
	default:
		return None
	}
}

// Decompress returns the uncompressed bytes of r, whose compression it tells by
// the first bytes: none, gzip (any number of members, zero padding after them),
// zstd (any number of frames, skippable ones too), bzip2 or xz. Reading fails
// with ErrTruncated when the compressed stream ends early, with ErrCorrupt
// when it is damaged, and with a LimitError when it exceeds Size, Ratio or
// Window of l. The caller closes the result; that does not close r.
func Decompress(r io.Reader, l Limits) (io.ReadCloser, Compression, error) {
	src := &input{r: r}
	in := bufio.NewReaderSize(src, 128<<10)
	head, err := in.Peek(magicMax)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", fmt.Errorf("read the layer: %w", err)
	}
	c := detect(head)
	d := &decompressor{input: src, r: in, compression: c, limits: l.orDefault()}
	err = nil // fewer bytes are no fault
	switch c {
	case Gzip:
		d.r, err = newGzipReader(in)
	case Zstd:
		var z *zstd.Decoder
		z, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow(d.limits.Window)))
		if err == nil {
			d.r, d.close = z, z.Close
		}
	case Bzip2:
		d.r = bzip2.NewReader(in)
	case Xz:
		d.r, err = xz.NewReader(in, uint32(min(d.limits.Window, math.MaxUint32)))
	}
	if err != nil {
		return nil, "", d.explain(err)
	}
	return d, c, nil
}

// zstdWindow keeps a window within what the library takes.
func zstdWindow(n int64) uint64 {
	return uint64(max(zstd.MinWindowSize, min(n, zstd.MaxWindowSize)))
}

// A decompressor bounds what comes out, and gives the errors of the libraries
// the words of this package.
type decompressor struct {
	input       *input
	r           io.Reader
	compression Compression
	close       func()
	limits      Limits
	size        int64 // of what came out
}

// ratioFrom is the size from which on Limits.Ratio counts: a small stream does
// no harm.
const ratioFrom = 64 << 20

func (d *decompressor) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	d.size += int64(n)
	switch {
	case d.size > d.limits.Size:
		return 0, d.limits.exceeded("size", "the stream has more than %d bytes")
	case d.size > ratioFrom && d.size/d.limits.Ratio > d.input.n:
		return 0, d.limits.exceeded("ratio", "the stream expands to more than %d times its compressed size")
	case err != nil && err != io.EOF:
		err = d.explain(err)
	}
	return n, err
}

func (d *decompressor) Close() error {
	if d.close != nil {
		d.close()
	}
	return nil
}

func (d *decompressor) explain(err error) error {
	switch {
	case d.input.err != nil:
		err = d.input.err
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, xz.ErrBuf):
		err = ErrTruncated
	case errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded):
		err = d.limits.exceeded("window", "it was compressed with a window of more than %d bytes")
	case errors.Is(err, xz.ErrMemlimit):
		err = d.limits.exceeded("window", "it was compressed with a dictionary of more than %d bytes")
	default:
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if d.compression == None {
		return err // the reader's own
	}
	return fmt.Errorf("%s stream: %w", d.compression, err)
}

// An input counts what is read, and keeps the error of the reader below, so that it is not taken for
// damage of the data.
type input struct {
	r   io.Reader
	n   int64
	err error
}

func (i *input) Read(p []byte) (int, error) {
	n, err := i.r.Read(p)
	i.n += int64(n)
	if err != nil && err != io.EOF {
		i.err = err
	}
	return n, err
}

// A gzipReader reads gzip members until the end or until nothing but zeros
// follow: tapes and some writers pad with them, and gzip(1) passes over them.
type gzipReader struct {
	in *bufio.Reader
	z  *gzip.Reader
}

func newGzipReader(in *bufio.Reader) (*gzipReader, error) {
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &gzipReader{in: in, z: z}, nil
}

func (g *gzipReader) Read(p []byte) (int, error) {
	for {
		n, err := g.z.Read(p)
		if err != io.EOF {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
		if err := g.nextMember(); err != nil {
			return 0, err
		}
	}
}

// nextMember goes on to the next member; io.EOF if there is none.
func (g *gzipReader) nextMember() error {
	next, err := g.in.Peek(2)
	switch {
	case len(next) == 0:
		return err
	case next[0] == 0:
		return g.padding()
	case string(next) != "\x1f\x8b":
		return gzip.ErrHeader
	}
	if err := g.z.Reset(g.in); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	g.z.Multistream(false)
	return nil
}

func (g *gzipReader) padding() error {
	for {
		b, err := g.in.ReadByte()
		if err != nil {
			return err
		}
		if b != 0 {
			return gzip.ErrHeader
		}
	}
}
