package image

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/layerfs/layerfs/tarindex"
)

// openSource makes a source of what the user named. A plain tar on disk is read where it is. Everything
// else (a compressed archive, a pipe, r for "-") cannot be read in any order and is first unpacked into the
// file that spool creates.
func openSource(ctx context.Context, path string, r io.Reader, spool func() (*os.File, error)) (source, error) {
	if path == "-" {
		return spoolTar(ctx, r, spool)
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
		plain, err := isPlain(f)
		if err != nil {
			f.Close()
			return nil, err
		}
		if plain {
			return closeOnError(f)
		}
	}
	defer f.Close()
	return spoolTar(ctx, f, spool)
}

// isPlain tells by its first bytes whether f is not compressed. f stands at its start before and after.
func isPlain(f io.ReadSeeker) (bool, error) {
	z, compression, err := tarindex.Decompress(f)
	if err != nil {
		return false, sourceError(err)
	}
	z.Close()
	_, err = f.Seek(0, io.SeekStart)
	return compression == tarindex.None, err
}

func spoolTar(ctx context.Context, r io.Reader, spool func() (*os.File, error)) (source, error) {
	z, _, err := tarindex.Decompress(bufio.NewReaderSize(r, 1<<20))
	if err != nil {
		return nil, sourceError(err)
	}
	defer z.Close()
	f, err := spool()
	if err != nil {
		return nil, err
	}
	if _, err = io.Copy(f, contextReader{ctx, z}); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, sourceError(err)
	}
	return closeOnError(f)
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
	if errors.Is(err, fs.ErrPermission) || isErrno(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// contextReader ends a long copy when its context ends.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
