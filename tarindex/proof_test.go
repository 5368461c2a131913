package tarindex

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
)

// faultyTar is a tar of a file that fills several blocks, and small ones behind.
func faultyTar(t *testing.T) []byte {
	t.Helper()
	random := rand.NewChaCha8([32]byte{1})
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i, size := range []int64{8 * blockSize, 100, 5000, 0, 100} {
		if err := w.WriteHeader(&tar.Header{Name: string(rune('a' + i)), Size: size, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(w, random, size); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// splice puts a fault into a channel of a scan: what arrives is held back until
// all of it is there, and goes on as the fault makes it.
func splice[T any](s *scan, in <-chan T, fault func([]T) []T) <-chan T {
	out := make(chan T)
	go func() {
		defer close(out)
		var all []T
		for v := range in {
			all = append(all, v)
		}
		for _, v := range fault(all) {
			if send(s.ctx, out, v) != nil {
				return
			}
		}
	}()
	return out
}

func flip(b []byte) { b[len(b)/2] ^= 1 }

func swap[T any](all []T, i, j int) []T {
	all[i], all[j] = all[j], all[i]
	return all
}

// TestProofOfBlocks breaks blocks between the reader and the parser, inside of a
// file, where the parser cannot see it.
func TestProofOfBlocks(t *testing.T) {
	data := faultyTar(t)
	for name, fault := range map[string]func([]*block) []*block{
		"none":  func(all []*block) []*block { return all },
		"bit":   func(all []*block) []*block { flip(all[3].data); return all },
		"order": func(all []*block) []*block { return swap(all, 3, 5) },
		"twice": func(all []*block) []*block { copy(all[5].data, all[3].data); return all },
		"short": func(all []*block) []*block { b := all[len(all)-1]; b.data = b.data[:len(b.data)-tarBlock]; return all },
		"long":  func(all []*block) []*block { b := all[len(all)-1]; b.data = append(b.data, 0); return all },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := newScan(context.Background(), bytes.NewReader(data), newMemory(), io.Discard, defaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			s.parser.tape.in = splice(s, s.parser.tape.in, fault)
			checkProof(t, s, data, name == "none")
		})
	}
}

// checkProof runs a scan that is to fail unless it is sound.
func checkProof(t *testing.T, s *scan, data []byte, sound bool) {
	t.Helper()
	l, err := s.run()
	switch {
	case sound && err != nil:
		t.Fatal(err)
	case sound && l.DiffID != digest.FromBytes(data):
		t.Errorf("DiffID %s, want %s", l.DiffID, digest.FromBytes(data))
	case !sound && !errors.Is(err, ErrDigest):
		t.Errorf("got the error %v, want ErrDigest", err)
	}
}

// TestProofOfRecord breaks what goes to the recorder.
func TestProofOfRecord(t *testing.T) {
	data := faultyTar(t)
	// change changes the pieces of the first batch that has a piece of the kind.
	change := func(kind pieceKind, do func(pieces []piece, i int) []piece) func([]*batch) []*batch {
		return func(all []*batch) []*batch {
			for _, b := range all {
				if b.small { // the worker must have done with it
					<-b.stored
					b.stored <- struct{}{}
				}
				for i, p := range b.pieces {
					if p.kind == kind {
						b.pieces = do(b.pieces, i)
						return all
					}
				}
			}
			t.Errorf("no piece of the kind %d", kind)
			return all
		}
	}
	bit := func(pieces []piece, i int) []piece {
		pieces[i].data = bytes.Clone(pieces[i].data) // the worker reads the other one
		flip(pieces[i].data)
		return pieces
	}
	empty := func(pieces []piece, i int) []piece { pieces[i].data = nil; return pieces }
	shorter := func(pieces []piece, i int) []piece { pieces[i].data = pieces[i].data[1:]; return pieces }
	twice := func(pieces []piece, i int) []piece {
		return slices.Insert(pieces, i, piece{kind: rawBytes, chunk: chunk{data: pieces[i].data}})
	}
	later := func(pieces []piece, i int) []piece { return swap(pieces, i, i+1) }
	for name, fault := range map[string]func([]*batch) []*batch{
		"none":              func(all []*batch) []*batch { return all },
		"bit of a header":   change(rawBytes, bit),
		"bit of a file":     change(smallContent, bit),
		"bit of a big file": change(bigPart, bit),
		"no header":         change(rawBytes, empty),
		"no file":           change(smallContent, empty),
		"no part":           change(bigPart, empty),
		"shorter part":      change(bigPart, shorter),
		"header twice":      change(rawBytes, twice),
		"part twice":        change(bigPart, twice),
		"header later":      change(rawBytes, later),
		"file later":        change(smallContent, later),
		"batch lost":        func(all []*batch) []*batch { return slices.Delete(all, 2, 3) },
		"batch later":       func(all []*batch) []*batch { return swap(all, 2, 4) },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := newScan(context.Background(), bytes.NewReader(data), newMemory(), io.Discard, defaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			s.recorder.in = splice(s, s.recorder.in, fault)
			checkProof(t, s, data, name == "none")
		})
	}
}
