package tarindex

import (
	"context"
	"sync"
)

// The parser hands on what it finds in batches, about one a block: to hand over
// every header and every small file by itself would take longer than to hash
// them.

// A batch goes to a worker, which stores the small contents in it, and to the
// recorder. Neither changes it, but the worker sets the hashes.
type batch struct {
	pieces []piece
	raw    []byte        // what raw pieces are parts of; never grows
	small  bool          // there are small contents
	stored chan struct{} // gets one when they are stored
}

// A piece is a part of the tar, in the order of the tar.
type piece struct {
	chunk // the bytes; raw ones lie in no block
	kind  pieceKind
	name  string   // of the entry, with the end of a content
	hash  Hash     // of a small content, when it is stored
	big   *content // that ends
}

type pieceKind uint8

const (
	rawBytes pieceKind = iota
	smallContent
	bigPart
	bigEnd    // no bytes
	sparseEnd // no bytes: the end of a big content that is not recorded, because its bytes came raw
)

// rawMax is the most that a batch has of raw bytes.
const rawMax = 64 << 10

var batches = sync.Pool{New: func() any { return &batch{raw: make([]byte, 0, rawMax), stored: make(chan struct{}, 1)} }}

// recycle is for the last holder of a batch.
func (b *batch) recycle() {
	clear(b.pieces) // names and blocks
	b.pieces, b.raw, b.small = b.pieces[:0], b.raw[:0], false
	batches.Put(b)
}

// A batcher fills batches and sends them.
type batcher struct {
	ctx      context.Context
	toStore  chan<- task
	toRecord chan<- *batch
	cur      *batch
}

func newBatcher(ctx context.Context, toStore chan<- task, toRecord chan<- *batch) *batcher {
	return &batcher{ctx: ctx, toStore: toStore, toRecord: toRecord, cur: batches.Get().(*batch)}
}

func (b *batcher) add(p piece) {
	b.cur.pieces = append(b.cur.pieces, p)
	b.cur.small = b.cur.small || p.kind == smallContent
}

// keep adds raw bytes, of which it makes a copy.
func (b *batcher) keep(data []byte) error {
	for len(data) > 0 {
		at := len(b.cur.raw)
		n := min(len(data), rawMax-at)
		b.cur.raw = append(b.cur.raw, data[:n]...)
		data = data[n:]
		if k := len(b.cur.pieces) - 1; k >= 0 && b.cur.pieces[k].kind == rawBytes {
			at -= len(b.cur.pieces[k].data)
			b.cur.pieces[k].data = b.cur.raw[at:]
		} else {
			b.add(piece{chunk: chunk{data: b.cur.raw[at:]}})
		}
		if len(b.cur.raw) == rawMax {
			if err := b.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// open announces a big content, whose bytes the caller sends and then closes
// the channel. Only one may be open, because a worker waits for it.
func (b *batcher) open(size int64) (*content, error) {
	c := &content{size: size, parts: make(chan chunk, 4), done: make(chan Hash, 1)}
	return c, send[task](b.ctx, b.toStore, c)
}

// flush sends the batch.
func (b *batcher) flush() error {
	full := b.cur
	if len(full.pieces) == 0 {
		return nil
	}
	b.cur = batches.Get().(*batch)
	if full.small {
		if err := send[task](b.ctx, b.toStore, full); err != nil {
			return err
		}
	}
	return send(b.ctx, b.toRecord, full)
}

// close sends what there is and ends both channels.
func (b *batcher) close() error {
	if err := b.flush(); err != nil {
		return err
	}
	close(b.toStore)
	close(b.toRecord)
	return nil
}
