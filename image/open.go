package image

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/layerfs/layerfs/tarindex"
)

// An opener makes sources of what users name.
type opener struct {
	ctx    context.Context
	limits tarindex.Limits
	create func() (*os.File, error) // a file to unpack into
	report func(done, total int64)  // nil = nobody wants to know
}

// open takes a plain tar on disk as it is. Everything else but a directory (a compressed archive, a pipe, stdin for "-")
// cannot be read in any order and is unpacked into a file first.
func (o *opener) open(path string, stdin io.Reader) (source, error) {
	if path == "-" {
		return o.spool(stdin)
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if fi.IsDir() {
		return openDir(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if fi.Mode().IsRegular() {
		plain, err := o.isPlain(f)
		if err != nil {
			f.Close()
			return nil, err
		}
		if plain {
			return closeOnError(f)
		}
	}
	defer f.Close()
	return o.spool(f)
}

// isPlain tells by its first bytes whether f is not compressed. f stands at its start before and after.
func (o *opener) isPlain(f io.ReadSeeker) (bool, error) {
	z, compression, err := tarindex.Decompress(f, o.limits)
	if err != nil {
		return false, sourceError(err)
	}
	z.Close()
	_, err = f.Seek(0, io.SeekStart)
	return compression == tarindex.None, err
}

func (o *opener) spool(r io.Reader) (source, error) {
	f, err := o.create()
	if err != nil {
		return nil, err
	}
	if err := o.unpack(f, r); err != nil {
		f.Close()
		return nil, err
	}
	return closeOnError(f)
}

// unpack writes the uncompressed archive into f and goes back to its start.
func (o *opener) unpack(f *os.File, r io.Reader) error {
	z, _, err := tarindex.Decompress(bufio.NewReaderSize(&spoolReader{opener: o, r: r}, 1<<20), o.limits)
	if err == nil {
		defer z.Close()
		_, err = io.Copy(f, z)
	}
	if ctxErr := o.ctx.Err(); ctxErr != nil {
		return ctxErr // whatever a decompressor made of it
	}
	if err != nil {
		return sourceError(err)
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

func closeOnError(f *os.File) (source, error) {
	s, err := indexTar(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

// sourceError gives the errors of decompression this package's words.
func sourceError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tarindex.ErrTruncated) {
		return fmt.Errorf("%w: the compressed stream ends too early; copy or download it again (%w)", ErrTruncated, err)
	}
	if isErrno(err) || errors.Is(err, tarindex.ErrLimit) {
		return err // the disk's fault or the reader's, not the archive's
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// spoolReader counts what it reads, and gives up when the context ends even while nothing comes: a pipe may be silent
// for ever. The read in flight is abandoned then, together with its buffer.
type spoolReader struct {
	*opener
	r    io.Reader
	done int64
}

func (s *spoolReader) Read(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	read := make(chan result, 1)
	go func() {
		n, err := s.r.Read(p)
		read <- result{n, err}
	}()
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case got := <-read:
		s.done += int64(got.n)
		if s.report != nil {
			s.report(s.done, 0)
		}
		return got.n, got.err
	}
}
