package tarindex

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
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

	headers int64   // bytes that the parser may still read before errHeaders
	phantom int64   // bytes that the parser has still to skip
	blank   [2]bool // whether the last reads but one, and the last, were of a block of zeros
	err     error   // of the scan, not of the parser
}

// errHeaders: the headers of one entry are too many.
var errHeaders = errors.New("too many headers")

const tarBlock = 512

var zeros [tarBlock]byte

// isZero is for at most one block.
func isZero(b []byte) bool { return bytes.Equal(b, zeros[:len(b)]) }

func newTape(ctx context.Context, in <-chan *block, out *batcher) *tape {
	return &tape{ctx: ctx, in: in, out: out, headers: math.MaxInt64}
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
	if t.headers -= int64(n); t.headers < 0 {
		t.err = errHeaders
		return 0, t.err
	}
	if err := t.keep(t.advance(n)); err != nil {
		return n, err
	}
	if n < len(p) && len(p) == tarBlock && isZero(p[:n]) && t.fill() == io.EOF {
		// The last block of zeros is cut off: that is how some archives end.
		clear(p[n:])
		n = tarBlock
	}
	t.blank[0], t.blank[1] = t.blank[1], n == tarBlock && isZero(p[:n])
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
