package tarindex

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
)

// The stream goes through Scan in blocks of a fixed ring. Whoever holds a block
// reads it only; the last to release it gives it back to the ring. So the
// memory of a scan is bounded, and a stage that is slow slows the others down.
const (
	blockSize = 256 << 10
	ringSize  = 16 // blocks
)

type block struct {
	data []byte
	refs atomic.Int32
	home chan *block // its ring; nil: a spare block
}

func (b *block) release() {
	switch {
	case b.refs.Add(-1) > 0:
	case b.home != nil:
		b.home <- b // never blocks: the ring has room for all its blocks
	default:
		b.free()
	}
}

// buffers is the memory of blocks that no scan uses, for the next one.
var buffers = sync.Pool{New: func() any { return new([blockSize]byte) }}

// free gives back the memory of a block that nobody uses any more.
func (b *block) free() {
	if b.data != nil {
		buffers.Put((*[blockSize]byte)(b.data[:blockSize]))
		b.data = nil
	}
}

func (b *block) empty() {
	if b.data == nil {
		b.data = buffers.Get().(*[blockSize]byte)[:]
	}
	b.data = b.data[:0]
}

// spare returns a block outside of the ring, for a content that is copied. What
// is queued bounds their number.
func spare() *block {
	b := new(block)
	b.empty()
	return b
}

func newRing() chan *block {
	ring := make(chan *block, ringSize)
	for range ringSize {
		ring <- &block{home: ring}
	}
	return ring
}

// fromRing waits for a block and empties it. Its memory is allocated when it is
// first used, since most layers are smaller than the ring.
func fromRing(ctx context.Context, ring <-chan *block) (*block, error) {
	b, _, err := receive(ctx, ring)
	if err != nil {
		return nil, err
	}
	b.empty()
	return b, nil
}

// freeRing gives back the memory of a ring that is not used any more.
func freeRing(ring <-chan *block) {
	for {
		select {
		case b := <-ring:
			b.free()
		default: // all that have come back
			return
		}
	}
}

// send and receive are channel operations that end with the scan.
func send[T any](ctx context.Context, c chan<- T, v T) error {
	select {
	case c <- v:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func receive[T any](ctx context.Context, c <-chan T) (v T, ok bool, err error) {
	select {
	case v, ok = <-c:
		return v, ok, nil
	case <-ctx.Done():
		return v, false, context.Cause(ctx)
	}
}

// An inlet reads the input stream to its very end and hands the uncompressed
// bytes on in blocks: first stage of a scan.
type inlet struct {
	r      io.Reader
	limits Limits
	ring   chan *block
	out    chan<- *block

	in          meter
	compression Compression
	read        fingerprint // of the uncompressed bytes
}

// A meter counts and hashes what is read through it. An uncompressed stream is
// not hashed here: its digest is the DiffID.
type meter struct {
	r    io.Reader
	hash hash.Hash // nil: none
	n    int64
}

func newMeter(r io.Reader) (meter, error) {
	// A buffer of this size hands longer reads through, so nothing is copied.
	in := bufio.NewReaderSize(r, 16)
	head, err := in.Peek(magicMax)
	if err != nil && err != io.EOF {
		return meter{}, fmt.Errorf("read the layer: %w", err)
	}
	m := meter{r: in}
	if detect(head) != None {
		m.hash = sha256.New()
	}
	return m, nil
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if m.hash != nil {
		m.hash.Write(p[:n])
	}
	m.n += int64(n)
	return n, err
}

// digest returns the digest of a stream whose uncompressed bytes have the given
// one.
func (m *meter) digest(plain digest.Digest) digest.Digest {
	if m.hash == nil {
		return plain
	}
	return digest.NewDigest(digest.SHA256, m.hash)
}

func (s *inlet) run(ctx context.Context) (err error) {
	if s.in, err = newMeter(s.r); err != nil {
		return err
	}
	plain, compression, err := Decompress(&s.in, s.limits)
	if err != nil {
		return err
	}
	defer plain.Close()
	s.compression = compression
	for {
		b, err := fromRing(ctx, s.ring)
		if err != nil {
			return err
		}
		n, err := readFull(plain, b.data[:blockSize])
		b.data = b.data[:n]
		s.read.add(b.data)
		b.refs.Store(1)
		if err := send(ctx, s.out, b); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			// What a decompressor leaves unread belongs to the stream's digest.
			if _, err := io.Copy(io.Discard, &s.in); err != nil {
				return fmt.Errorf("read the layer: %w", err)
			}
			close(s.out)
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readFull fills p as far as the stream goes. Unlike io.ReadFull it gives back
// the error of the reader as it is, so that a truncated gzip stream is told
// from the end of a whole one.
func readFull(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = r.Read(p[n:])
		n += k
	}
	if n == len(p) && errors.Is(err, io.EOF) {
		err = nil // it comes again
	}
	return n, err
}
