package image

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
)

func TestImportProgress(t *testing.T) {
	f := newFixture(t)
	dir := f.oci(t, "gzip", "+gzip")
	var want int64
	for _, l := range f.layers {
		want += int64(len(compress(t, l, "gzip")))
	}
	s := newStore(t)
	for range 2 { // the second time all layers are known
		var last, calls int64
		_, err := Import(t.Context(), s, dir, Options{Progress: func(done, total int64) {
			if total != want || done < last || done > total {
				t.Errorf("progress %d of %d after %d, want a total of %d", done, total, last, want)
			}
			last = done
			calls++
		}})
		if err != nil {
			t.Fatal(err)
		}
		if last != want || calls < 2 {
			t.Errorf("progress ended at %d of %d after %d calls", last, want, calls)
		}
	}
}

func TestImportCancelled(t *testing.T) {
	f := newFixture(t)
	for _, src := range []string{f.archive(t), pack(t, f.archive(t), "-z")} {
		s := newStore(t)
		ctx, cancel := context.WithCancel(t.Context())
		var calls atomic.Int32
		o := Options{Progress: func(int64, int64) {
			if calls.Add(1) == 1 {
				cancel()
			}
		}}
		_, err := Import(ctx, s, src, o)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		noStaging(t, s)
		if images, err := s.Images(); len(images) > 0 || err != nil {
			t.Errorf("images %v, %v", images, err)
		}
	}
}

// TestImportSilentPipe: an import that waits for a pipe can be given up.
func TestImportSilentPipe(t *testing.T) {
	s := newStore(t)
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		w.Write(make([]byte, 100))
		cancel()
	}()
	if _, err := Import(ctx, s, "-", Options{Stdin: r}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	noStaging(t, s)
}

// TestImportReadError: an error of the reader stays what it is.
func TestImportReadError(t *testing.T) {
	f := newFixture(t)
	data := read(t, pack(t, f.archive(t), "-z"))
	s := newStore(t)
	_, err := Import(t.Context(), s, "-", Options{Stdin: io.MultiReader(bytes.NewReader(data[:1000]), iotest.ErrReader(syscall.EIO))})
	if !errors.Is(err, syscall.EIO) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrTruncated) {
		t.Errorf("%v", err)
	}
	noStaging(t, s)
}
