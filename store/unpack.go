package store

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/internal/durable"
	"github.com/layerfs/layerfs/internal/sys"
	"github.com/layerfs/layerfs/tarindex"
)

// UnpackOptions say what is known of a layer stream.
type UnpackOptions struct {
	Expected           digest.Digest // DiffID that the tar must have; "" = any
	ExpectedCompressed digest.Digest // digest that the stream must have as it comes; "" = any
	Progress           func(n int64) // gets the number of bytes after each read of r; nil = nobody wants to know
	Limits             tarindex.Limits
}

// Unpack reads one layer tar, plain or compressed, and stores it: contents into the pool, the rest into
// layers/sha256/<diffid>/. Contents that the pool has are not written again; a layer that the store has is returned as
// it is, and put right if it was damaged. On any error nothing is left behind.
//
// ErrDigest: not the expected digest. The errors of tarindex.Scan: not a tar, truncated, over a limit.
// Until a chain refers to the layer only the caller's Use keeps it.
//
// Steps: unpack.scanned, unpack.synced, unpack.packed (the pack renamed), unpack.contents (and all others),
// unpack.contents-durable, unpack.renamed, unpack.durable.
func (s *Store) Unpack(ctx context.Context, r io.Reader, o UnpackOptions) (Layer, error) {
	release, err := s.Use()
	if err != nil {
		return Layer{}, err
	}
	defer release()
	st, err := s.newStage()
	if err != nil {
		return Layer{}, err
	}
	defer st.remove()
	for _, d := range []string{"layer", "content"} {
		if err := os.Mkdir(st.path(d), 0o700); err != nil {
			return Layer{}, fmt.Errorf("stage: %w", err)
		}
	}
	if o.Progress != nil {
		r = &progressReader{r, o.Progress}
	}
	p, err := newPool(s, st.path("content"))
	if err != nil {
		return Layer{}, err
	}
	defer p.abort()
	l, err := scan(ctx, r, p, st.path("layer"), o)
	if err != nil {
		return Layer{}, err
	}
	if err := durable.Reach("unpack.scanned"); err != nil {
		return Layer{}, err
	}
	if err := sys.SyncFS(st.dir); err != nil {
		return Layer{}, err
	}
	if err := durable.Reach("unpack.synced"); err != nil {
		return Layer{}, err
	}
	if err := p.commit(); err != nil {
		return Layer{}, err
	}
	if err := s.commitLayer(st.path("layer"), l.DiffID); err != nil {
		return Layer{}, fmt.Errorf("layer %s: %w", l.DiffID, err)
	}
	return s.Layer(l.DiffID)
}

// scan reads the stream, fills p, and writes tar-split, index and record into dir. Nothing is synced yet.
func scan(ctx context.Context, r io.Reader, p *pool, dir string, o UnpackOptions) (Layer, error) {
	var found *tarindex.Layer
	err := create(filepath.Join(dir, "tar-split"), func(w io.Writer) (err error) {
		found, err = tarindex.Scan(ctx, r, p, w, tarindex.ScanOptions{Limits: o.Limits})
		return err
	})
	if err != nil {
		return Layer{}, err
	}
	if o.ExpectedCompressed != "" && o.ExpectedCompressed != found.CompressedDigest {
		return Layer{}, fmt.Errorf("%w: the layer's blob has %s, expected %s; fetch it again", ErrDigest, found.CompressedDigest, o.ExpectedCompressed)
	}
	if o.Expected != "" && o.Expected != found.DiffID {
		return Layer{}, fmt.Errorf("%w: the layer's tar has the DiffID %s, expected %s; fetch it again", ErrDigest, found.DiffID, o.Expected)
	}
	if err := p.finish(); err != nil {
		return Layer{}, err
	}
	if err := create(filepath.Join(dir, "index"), found.WriteIndex); err != nil {
		return Layer{}, fmt.Errorf("write index: %w", err)
	}
	l := Layer{
		DiffID: found.DiffID, Size: found.Size, ContentBytes: found.ContentBytes, Entries: found.Entries,
		CompressedDigest: found.CompressedDigest, CompressedSize: found.CompressedSize,
		Compression: string(found.Compression), Warnings: found.Warnings, Created: now(),
	}
	b, err := encodeRecord("layer", l)
	if err != nil {
		return Layer{}, err
	}
	err = create(filepath.Join(dir, "record"), func(w io.Writer) error { _, err := w.Write(b); return err })
	return l, err
}

// create writes the new file path through a buffer, without syncing it.
func create(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 256<<10)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	return errors.Join(err, f.Close())
}

// commitLayer brings the staged layer directory into view. One that is there already stays if it says the same; else it
// is damaged, or of an older index format, and gives way. Either way it is durable afterwards.
func (s *Store) commitLayer(staged string, diffID digest.Digest) error {
	final := s.path(layerDir(diffID))
	if _, err := s.Layer(diffID); err == nil && sameFile(staged, final, "index") && sameFile(staged, final, "tar-split") {
		return durable.SyncDir(filepath.Dir(final))
	}
	err := durable.Rename("unpack", staged, final)
	if !taken(err) {
		return err
	}
	// Another import may have been faster by a moment; replacing its work by the same is no harm.
	if err := replaceDir(staged, final); err != nil {
		return err
	}
	if err := durable.Reach("unpack.renamed"); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(final))
}

// replaceDir puts the directory staged in the place of final; the old one ends up in the staging directory.
func replaceDir(staged, final string) error {
	err := sys.Exchange(staged, final)
	if err == nil {
		return nil
	}
	// A file system without the exchange: the name is missing for a moment.
	if err := os.Rename(final, staged+".old"); err != nil && !gone(err) {
		return err
	}
	return os.Rename(staged, final)
}

// sameFile tells whether a file has the same bytes in two directories. What cannot be read is not the same.
func sameFile(a, b, name string) bool {
	fa, err := os.Open(filepath.Join(a, name))
	if err != nil {
		return false
	}
	defer fa.Close()
	fb, err := os.Open(filepath.Join(b, name))
	if err != nil {
		return false
	}
	defer fb.Close()
	ba, bb := make([]byte, 256<<10), make([]byte, 256<<10)
	for {
		na, ea := io.ReadFull(fa, ba)
		nb, eb := io.ReadFull(fb, bb)
		if !bytes.Equal(ba[:na], bb[:nb]) {
			return false
		}
		if ea != nil || eb != nil {
			return atEnd(ea) && atEnd(eb)
		}
	}
}

func atEnd(err error) bool { return err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) }

// Register is Unpack and AddChain in one: it stores a layer tar on top of the chain parent ("" for a base).
// A parent that does not exist is ErrNotFound before anything is read.
func (s *Store) Register(ctx context.Context, parent digest.Digest, r io.Reader, o UnpackOptions) (Chain, error) {
	release, err := s.Use()
	if err != nil {
		return Chain{}, err
	}
	defer release()
	if parent != "" {
		if _, err := s.Chain(parent); err != nil {
			return Chain{}, fmt.Errorf("parent: %w", err)
		}
	}
	l, err := s.Unpack(ctx, r, o)
	if err != nil {
		return Chain{}, err
	}
	return s.AddChain(parent, l.DiffID)
}

// progressReader tells how far a reader is.
type progressReader struct {
	r    io.Reader
	tell func(n int64)
}

func (p *progressReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.tell(int64(n))
	return n, err
}
