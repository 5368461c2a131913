package tarindex

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
)

// A Sink receives the contents that Scan finds. Its methods are called by
// several goroutines at once. The same content may come more than once.
type Sink interface {
	// Put stores a whole content. It does not keep data.
	Put(h Hash, data []byte) error
	// Create begins a content that is too big to be held in memory; its hash
	// is known when all of it is written.
	Create() (ContentWriter, error)
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

// A content is the payload of one entry on its way to the sink. Its bytes come
// as chunks: one if it is small, any number through more if it is big.
type content struct {
	size int64
	data chunk      // of a small one
	more chan chunk // of a big one; closed after the last
	done chan Hash  // room for one, from the worker
}

var contentPool = sync.Pool{New: func() any { return &content{done: make(chan Hash, 1)} }}

func newContent(size int64) *content {
	c := contentPool.Get().(*content)
	c.size, c.data, c.more = size, chunk{}, nil
	return c
}

// A chunk is a part of a content that lies in a block, which it holds.
type chunk struct {
	data  []byte
	block *block
}

// storeContents is the stage that hashes contents and hands them to the sink.
// Several run side by side.
func storeContents(ctx context.Context, in <-chan *content, sink Sink) error {
	h := sha256.New()
	for {
		c, ok, err := receive(ctx, in)
		if err != nil || !ok {
			return err
		}
		h.Reset()
		var sum Hash
		if c.more == nil {
			h.Write(c.data.data)
			h.Sum(sum[:0])
			err = sink.Put(sum, c.data.data)
			c.data.block.release()
		} else {
			sum, err = storeBig(ctx, c, h, sink)
		}
		if err != nil {
			return fmt.Errorf("store a content of %d bytes: %w", c.size, err)
		}
		c.done <- sum
	}
}

func storeBig(ctx context.Context, c *content, h hash.Hash, sink Sink) (Hash, error) {
	w, err := sink.Create()
	if err != nil {
		return Hash{}, err
	}
	for {
		part, ok, err := receive(ctx, c.more)
		if err == nil && !ok {
			break
		}
		if err == nil {
			h.Write(part.data)
			_, err = w.Write(part.data)
			part.block.release()
		}
		if err != nil {
			return Hash{}, errors.Join(err, w.Abort())
		}
	}
	sum := Hash(h.Sum(nil))
	return sum, w.Commit(sum)
}
