package tarindex

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// A tape lies under the tar parser and accounts for every byte that the parser
// takes: what it reads becomes raw segments, but payloads that the scan takes
// as contents. The parser, which does not know that a payload has been taken,
// skips it afterwards: the tape lets it read nothing, that many bytes long.
type tape struct {
	ctx context.Context
	in  <-chan *block
	out *batcher

	cur    *block
	pos    int
	offset int64 // in the stream, of the next byte to be read
	eof    bool

	headers    []byte // what was read for the headers of the entry, from headersAt on
	headersAt  int64
	headersMax int64
	inHeaders  bool

	phantom int64 // bytes that the parser has still to skip
	err     error // of the scan, not of the parser
}

// errHeaders: the headers of one entry are too many.
var errHeaders = errors.New("too many headers")

const tarBlock = 512

var zeros [tarBlock]byte

// isZero is for at most one block.
func isZero(b []byte) bool { return bytes.Equal(b, zeros[:len(b)]) }

func newTape(ctx context.Context, in <-chan *block, out *batcher) *tape {
	return &tape{ctx: ctx, in: in, out: out}
}

// fill makes sure that there is a byte to be read; io.EOF if there is none.
func (t *tape) fill() error {
	for t.cur == nil || t.pos == len(t.cur.data) {
		if t.cur != nil {
			t.cur.release()
			t.cur = nil
			if err := t.out.flush(); err != nil {
				t.err = err
				return err
			}
		}
		if t.eof {
			return io.EOF
		}
		b, ok, err := receive(t.ctx, t.in)
		if err != nil {
			t.err = err
			return err
		}
		if !ok {
			t.eof = true
			return io.EOF
		}
		t.cur, t.pos = b, 0
	}
	return nil
}

// beginHeaders says that what is read from now on are headers of the next entry,
// and the padding before them.
func (t *tape) beginHeaders(limit int64) {
	t.inHeaders, t.headers, t.headersAt, t.headersMax = true, t.headers[:0], t.offset, limit
}

// needHeaders reads on until there are n bytes of headers, or the stream ends.
func (t *tape) needHeaders(n int64) error {
	was := t.inHeaders
	t.inHeaders = true
	defer func() { t.inHeaders = was }()
	var buf [tarBlock]byte
	for left := n - int64(len(t.headers)); left > 0; left = n - int64(len(t.headers)) {
		if _, err := t.Read(buf[:min(left, tarBlock)]); err != nil {
			return err
		}
	}
	return nil
}

// Read is for the parser.
func (t *tape) Read(p []byte) (int, error) {
	if t.phantom > 0 {
		n := int(min(int64(len(p)), t.phantom))
		t.phantom -= int64(n)
		return n, nil
	}
	if err := t.fill(); err != nil {
		return 0, err
	}
	n := copy(p, t.cur.data[t.pos:])
	if t.inHeaders {
		if int64(len(t.headers)+n) > t.headersMax {
			t.err = errHeaders
			return 0, t.err
		}
		t.headers = append(t.headers, p[:n]...)
	}
	if err := t.keep(t.advance(n)); err != nil {
		return n, err
	}
	if n < len(p) && len(p) == tarBlock && isZero(p[:n]) && t.fill() == io.EOF {
		// The last block of zeros is cut off: that is how some archives end.
		clear(p[n:])
		n = tarBlock
	}
	return n, nil
}

func (t *tape) advance(n int) []byte {
	b := t.cur.data[t.pos : t.pos+n]
	t.pos += n
	t.offset += int64(n)
	return b
}

// keep passes on what is to be recorded as it is.
func (t *tape) keep(b []byte) error {
	if err := t.out.keep(b); err != nil {
		t.err = err
		return err
	}
	return nil
}

// take reads up to n bytes of payload, without copying: the chunk is valid
// while its block is held, by holders of them.
func (t *tape) take(n int64, holders int32) (chunk, error) {
	if err := t.fill(); err == io.EOF {
		return chunk{}, fmt.Errorf("%w: the stream ends at byte %d, %d bytes before the end of a file", ErrTruncated, t.offset, n)
	} else if err != nil {
		return chunk{}, err
	}
	b := t.cur
	data := t.advance(int(min(n, int64(len(b.data)-t.pos))))
	b.refs.Add(holders)
	t.phantom += int64(len(data))
	return chunk{data: data, block: b}, nil
}

// takeAll is take for a payload of at most smallMax bytes, all of it.
func (t *tape) takeAll(n int64, holders int32) (chunk, error) {
	c, err := t.take(n, 1)
	if err != nil {
		return c, err
	}
	if int64(len(c.data)) == n {
		c.block.refs.Add(holders - 1)
		return c, nil
	}
	// It goes on in the next block.
	whole := spare()
	whole.refs.Store(holders)
	for {
		whole.data = append(whole.data, c.data...)
		c.block.release()
		n -= int64(len(c.data))
		if n == 0 {
			return chunk{data: whole.data, block: whole}, nil
		}
		if c, err = t.take(n, 1); err != nil {
			return chunk{}, err
		}
	}
}

// skipTo makes all that comes before end raw.
func (t *tape) skipTo(end int64) error {
	for t.offset < end {
		if err := t.fill(); err != nil {
			return err
		}
		n := min(end-t.offset, int64(len(t.cur.data)-t.pos))
		if err := t.keep(t.advance(int(n))); err != nil {
			return err
		}
	}
	return nil
}

// rest makes all that follows raw, and ends the batches.
func (t *tape) rest() error {
	for {
		err := t.fill()
		if err == io.EOF {
			return t.out.close()
		}
		if err == nil {
			err = t.keep(t.advance(len(t.cur.data) - t.pos))
		}
		if err != nil {
			return err
		}
	}
}
