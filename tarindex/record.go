package tarindex

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"

	"github.com/klauspost/compress/zstd"
	"github.com/vbatts/tar-split/tar/storage"
)

// The record of a layer is what its tar consists of besides contents: a zstd
// stream of tar-split's entries, one JSON object a line. A segment's payload is
// bytes of the tar as they are. A file's payload is the SHA-256 of a content,
// whose size bytes come at this place; its name is for people, nothing depends
// on it.

// A recorder writes the record and proves it: it hashes what it has recorded,
// the segments as written and the contents as handed to the sink.
type recorder struct {
	in       <-chan *batch
	out      *zstd.Encoder
	line     []byte
	position int
	proof    proof
	contents contentList
	bytes    int64 // of contents
}

func newRecorder(in <-chan *batch, w io.Writer) (*recorder, error) {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(64<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	return &recorder{in: in, out: z, proof: newProof()}, nil
}

func (r *recorder) run(ctx context.Context) error {
	for {
		b, ok, err := receive(ctx, r.in)
		if err != nil {
			return err
		}
		if !ok {
			if err := r.out.Close(); err != nil {
				return fmt.Errorf("write the record: %w", err)
			}
			return nil
		}
		if err := r.batch(ctx, b); err != nil {
			return err
		}
	}
}

func (r *recorder) batch(ctx context.Context, b *batch) error {
	for i := range b.pieces {
		p := &b.pieces[i]
		r.proof.add(p.data)
		if p.block != nil {
			p.block.release()
		}
	}
	if b.small {
		if _, _, err := receive(ctx, b.stored); err != nil {
			return err
		}
	}
	for i := range b.pieces {
		if err := r.piece(ctx, &b.pieces[i]); err != nil {
			return err
		}
	}
	b.recycle()
	return nil
}

func (r *recorder) piece(ctx context.Context, p *piece) error {
	switch p.kind {
	case rawBytes:
		return r.segment(p.data)
	case smallContent:
		return r.content(p, p.hash, int64(len(p.data)))
	case bigEnd, sparseEnd:
		h, _, err := receive(ctx, p.big.done)
		if err != nil {
			return err
		}
		return r.content(p, h, p.big.size)
	default:
		return nil
	}
}

func (r *recorder) content(p *piece, h Hash, size int64) error {
	r.contents.add(h, size)
	r.bytes += size
	if p.kind == sparseEnd {
		return nil
	}
	return r.file(p.name, size, h)
}

// segment appends a line for raw bytes.
func (r *recorder) segment(raw []byte) error {
	b := append(r.line[:0], `{"type":`...)
	b = strconv.AppendInt(b, int64(storage.SegmentType), 10)
	b = append(b, `,"payload":"`...)
	b = base64.StdEncoding.AppendEncode(b, raw)
	return r.finishLine(b)
}

// file appends a line for a content. The line is written by hand, since
// encoding/json took a third of the time of an import.
func (r *recorder) file(name string, size int64, h Hash) error {
	b := append(r.line[:0], `{"type":`...)
	b = strconv.AppendInt(b, int64(storage.FileType), 10)
	if plain(name) {
		b = append(b, `,"name":"`...)
		b = append(b, name...)
	} else {
		b = append(b, `,"name_raw":"`...)
		b = base64.StdEncoding.AppendEncode(b, []byte(name))
	}
	b = append(b, `","size":`...)
	b = strconv.AppendInt(b, size, 10)
	b = append(b, `,"payload":"`...)
	b = base64.StdEncoding.AppendEncode(b, h[:])
	return r.finishLine(b)
}

func (r *recorder) finishLine(b []byte) error {
	b = append(b, `","position":`...)
	b = strconv.AppendInt(b, int64(r.position), 10)
	b = append(b, "}\n"...)
	r.line = b
	r.position++
	if _, err := r.out.Write(b); err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	return nil
}

// plain reports whether s can stand in a JSON string as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
