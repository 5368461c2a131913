package tarindex

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
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
