package tarindex

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/vbatts/tar-split/tar/storage"
)

// Assemble writes the exact tar of a layer to w, from its record and the
// contents that open gives. Everything may have been written when it finds that
// the bytes do not have the digest want: then the error wraps ErrDigest, and
// what w got is worthless. The error wraps ErrCorrupt when the record is
// damaged or a content is shorter or longer than recorded.
func Assemble(ctx context.Context, rec io.Reader, open func(Hash) (io.ReadCloser, error), w io.Writer, want digest.Digest) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	toHash, toWrite := make(chan *block, ringSize), make(chan *block, ringSize)
	a := &assembler{ctx: ctx, open: open, ring: newRing(), out: []chan<- *block{toHash, toWrite}}

	var got digest.Digest
	var stages sync.WaitGroup
	stages.Go(func() {
		if err := a.run(rec); err != nil {
			cancel(err)
		}
	})
	stages.Go(func() {
		var err error
		if got, err = hashBlocks(ctx, toHash); err != nil {
			cancel(err)
		}
	})
	if err := writeBlocks(ctx, toWrite, w); err != nil {
		cancel(err)
	}
	stages.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	freeRing(a.ring)
	if got != want {
		return fmt.Errorf("%w: the layer %s comes out as %s; its record or a content is damaged", ErrDigest, want, got)
	}
	return nil
}

func writeBlocks(ctx context.Context, in <-chan *block, w io.Writer) error {
	for {
		b, ok, err := receive(ctx, in)
		if err != nil || !ok {
			return err
		}
		_, err = w.Write(b.data)
		b.release()
		if err != nil {
			return fmt.Errorf("write the layer: %w", err)
		}
	}
}

// hashBlocks is the stage that finds the digest.
func hashBlocks(ctx context.Context, in <-chan *block) (digest.Digest, error) {
	h := sha256.New()
	for {
		b, ok, err := receive(ctx, in)
		if err != nil {
			return "", err
		}
		if !ok {
			return digest.NewDigest(digest.SHA256, h), nil
		}
		h.Write(b.data)
		b.release()
	}
}

// An assembler reads the record and the contents into blocks.
type assembler struct {
	ctx  context.Context
	open func(Hash) (io.ReadCloser, error)
	ring chan *block
	out  []chan<- *block
	cur  *block
}

func (a *assembler) run(rec io.Reader) error {
	z, err := zstd.NewReader(rec, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return fmt.Errorf("read the record: %w", err)
	}
	defer z.Close()
	lines := bufio.NewReaderSize(z, 2*rawMax)
	for number := 0; ; number++ {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			break
		}
		if err == nil {
			err = a.line(line)
		} else {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if err != nil {
			return fmt.Errorf("line %d of the record: %w", number+1, err)
		}
	}
	if err := a.pass(); err != nil {
		return err
	}
	for _, c := range a.out {
		close(c)
	}
	return nil
}

func (a *assembler) line(line []byte) error {
	e, err := parseEntry(line)
	if err != nil {
		return err
	}
	if e.Type == storage.SegmentType {
		return a.write(e.Payload)
	}
	return a.content(Hash(e.Payload), e.Size)
}

// parseEntry reads one line of a record. The form that recorder writes is taken
// apart by hand: encoding/json would be most of the time of an export.
func parseEntry(line []byte) (e storage.Entry, err error) {
	if rest, ok := bytes.CutPrefix(line, []byte(`{"type":2,"payload":"`)); ok {
		if payload, _, ok := bytes.Cut(rest, []byte(`"`)); ok {
			e.Type = storage.SegmentType
			e.Payload, err = base64.StdEncoding.AppendDecode(payload[:0], payload)
		}
	} else if rest, ok := bytes.CutPrefix(line, []byte(`{"type":1,"name`)); ok {
		_, rest, _ = bytes.Cut(rest, []byte(`","size":`))
		size, rest, _ := bytes.Cut(rest, []byte(`,"payload":"`))
		if payload, _, ok := bytes.Cut(rest, []byte(`"`)); ok {
			e.Type = storage.FileType
			e.Size, err = strconv.ParseInt(string(size), 10, 64)
			if err == nil {
				e.Payload, err = base64.StdEncoding.AppendDecode(payload[:0], payload)
			}
		}
	}
	if e.Type == 0 && err == nil {
		err = json.Unmarshal(line, &e)
	}
	switch {
	case err != nil:
		return e, fmt.Errorf("%w: %w", ErrCorrupt, err)
	case e.Type == storage.SegmentType, e.Type == storage.FileType && len(e.Payload) == len(Hash{}) && e.Size > 0:
		return e, nil
	default:
		return e, fmt.Errorf("%w: neither a segment nor a content", ErrCorrupt)
	}
}

// room makes sure that the current block has room.
func (a *assembler) room() error {
	if a.cur != nil && len(a.cur.data) < blockSize {
		return nil
	}
	if err := a.pass(); err != nil {
		return err
	}
	var err error
	a.cur, err = fromRing(a.ctx, a.ring)
	return err
}

// pass hands the current block on.
func (a *assembler) pass() error {
	if a.cur == nil {
		return nil
	}
	a.cur.refs.Store(int32(len(a.out)))
	for _, c := range a.out {
		if err := send(a.ctx, c, a.cur); err != nil {
			return err
		}
	}
	a.cur = nil
	return nil
}

func (a *assembler) write(data []byte) error {
	for len(data) > 0 {
		if err := a.room(); err != nil {
			return err
		}
		n := min(len(data), blockSize-len(a.cur.data))
		a.cur.data = append(a.cur.data, data[:n]...)
		data = data[n:]
	}
	return nil
}

func (a *assembler) content(h Hash, size int64) error {
	r, err := a.open(h)
	if err != nil {
		return fmt.Errorf("content %s: %w", h, err)
	}
	err = a.copyContent(r, size)
	if err := errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("content %s: %w", h, err)
	}
	return nil
}

func (a *assembler) copyContent(r io.Reader, size int64) error {
	for left := size; left > 0; {
		if err := a.room(); err != nil {
			return err
		}
		b := a.cur
		free := b.data[len(b.data):blockSize]
		n, err := r.Read(free[:min(left, int64(len(free)))])
		b.data = b.data[:len(b.data)+n]
		left -= int64(n)
		if err == io.EOF && left > 0 {
			return fmt.Errorf("%w: %d bytes shorter than the %d recorded", ErrCorrupt, left, size)
		}
		if err != nil && err != io.EOF {
			return err
		}
	}
	var one [1]byte
	if n, _ := io.ReadFull(r, one[:]); n > 0 {
		return fmt.Errorf("%w: longer than the %d bytes recorded", ErrCorrupt, size)
	}
	return nil
}
