package tarindex

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// A Sink receives the contents that Scan finds. Its methods are called by
// several goroutines at once. The same content may come more than once.
type Sink interface {
	// Put stores a whole content. It does not keep data.
	Put(h Hash, data []byte) error
	// Create begins a content of that size, too big to be held in memory; its
	// hash is known when all of it is written.
	Create(size int64) (ContentWriter, error)
}

// A ContentWriter receives one big content. Either Commit or Abort is called,
// once; Abort not after a Commit that failed.
type ContentWriter interface {
	io.Writer
	Commit(h Hash) error
	Abort() error
}

// smallMax is the largest content that Put gets.
const smallMax = blockSize

// A content is one that is too big for a batch, on its way to the sink.
type content struct {
	size    int64
	parts   chan chunk // closed after the last
	done    chan Hash  // room for one, from the worker
	dropped bool       // nobody wants it; known when parts is closed
}

// A chunk is a part of a content that lies in a block, which it holds.
type chunk struct {
	data  []byte
	block *block
}

// A task is something to be hashed and handed to the sink: the small contents of
// a batch, or one big content.
type task interface {
	store(ctx context.Context, sink Sink) error
}

// storeContents is the stage that does the tasks. Several run side by side.
func storeContents(ctx context.Context, in <-chan task, sink Sink) error {
	for {
		t, ok, err := receive(ctx, in)
		if err != nil || !ok {
			return err
		}
		if err := t.store(ctx, sink); err != nil {
			return err
		}
	}
}

func (b *batch) store(_ context.Context, sink Sink) error {
	for i := range b.pieces {
		p := &b.pieces[i]
		if p.kind != smallContent {
			continue
		}
		p.hash = sha256.Sum256(p.data)
		if err := sink.Put(p.hash, p.data); err != nil {
			return storeError(int64(len(p.data)), err)
		}
		p.block.release()
	}
	b.stored <- struct{}{}
	return nil
}

func storeError(size int64, err error) error {
	return fmt.Errorf("store a content of %d bytes: %w", size, err)
}

func (c *content) store(ctx context.Context, sink Sink) error {
	w, err := sink.Create(c.size)
	if err != nil {
		return storeError(c.size, err)
	}
	h := sha256.New()
	for {
		part, ok, err := receive(ctx, c.parts)
		if err == nil && !ok {
			break
		}
		if err == nil {
			h.Write(part.data)
			_, err = w.Write(part.data)
			part.block.release()
		}
		if err != nil {
			return storeError(c.size, errors.Join(err, w.Abort()))
		}
	}
	if c.dropped {
		if err := w.Abort(); err != nil {
			return storeError(c.size, err)
		}
		return nil
	}
	sum := Hash(h.Sum(nil))
	if err := w.Commit(sum); err != nil {
		return storeError(c.size, err)
	}
	c.done <- sum
	return nil
}
