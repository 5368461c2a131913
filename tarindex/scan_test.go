package tarindex

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
)

// memory is a Sink in memory.
type memory struct {
	mu       sync.Mutex
	contents map[Hash][]byte
	wrong    error
}

func newMemory() *memory { return &memory{contents: map[Hash][]byte{}} }

func (m *memory) Put(h Hash, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if sha256.Sum256(data) != h {
		m.wrong = fmt.Errorf("content %s put with other bytes", h)
	}
	m.contents[h] = bytes.Clone(data)
	return nil
}

func (m *memory) Create(int64) (ContentWriter, error) { return &memoryWriter{m: m}, nil }

func (m *memory) open(h Hash) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.contents[h]
	if !ok {
		return nil, os.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

type memoryWriter struct {
	bytes.Buffer
	m *memory
}

func (w *memoryWriter) Commit(h Hash) error { return w.m.Put(h, w.Bytes()) }
func (w *memoryWriter) Abort() error        { return nil }

// scanned is a layer with all that a store would keep of it.
type scanned struct {
	*Layer
	sink  *memory
	rec   []byte
	index *Index
}

func scanReader(t testing.TB, r io.Reader) (scanned, error) {
	t.Helper()
	return scanWithin(t, r, Limits{})
}

func scanWithin(t testing.TB, r io.Reader, l Limits) (scanned, error) {
	t.Helper()
	s := scanned{sink: newMemory()}
	var rec bytes.Buffer
	var err error
	s.Layer, err = Scan(context.Background(), r, s.sink, &rec, ScanOptions{Limits: l})
	if err != nil {
		return s, err
	}
	if s.sink.wrong != nil {
		t.Fatal(s.sink.wrong)
	}
	s.rec = rec.Bytes()
	s.index = verifiedIndex(t, s.Layer)
	return s, nil
}

// roundTrip scans data and proves that it comes back.
func roundTrip(t testing.TB, data []byte) scanned {
	t.Helper()
	s, err := scanReader(t, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if s.CompressedDigest != digest.FromBytes(data) || s.CompressedSize != int64(len(data)) {
		t.Errorf("compressed: %s, %d bytes; want %s, %d", s.CompressedDigest, s.CompressedSize, digest.FromBytes(data), len(data))
	}
	var out bytes.Buffer
	if err := Assemble(context.Background(), bytes.NewReader(s.rec), s.sink.open, &out, s.DiffID); err != nil {
		t.Fatal(err)
	}
	if s.Compression == None && !bytes.Equal(out.Bytes(), data) {
		t.Error("assembled bytes differ")
	}
	if digest.FromBytes(out.Bytes()) != s.DiffID || int64(out.Len()) != s.Size {
		t.Errorf("assembled %d bytes %s, want %d, %s", out.Len(), digest.FromBytes(out.Bytes()), s.Size, s.DiffID)
	}
	return s
}

// mergeLayers merges indexes of layers, base first.
func mergeLayers(t testing.TB, layers ...*Index) *Index {
	t.Helper()
	var chain *Index
	for _, l := range layers {
		chain = mergeOnto(t, chain, l)
	}
	return chain
}

func mergeOnto(t testing.TB, parent, layer *Index) *Index {
	t.Helper()
	var out bytes.Buffer
	if err := Merge(parent, layer, &out); err != nil {
		t.Fatal(err)
	}
	x, err := Parse(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Verify(); err != nil {
		t.Fatalf("the merged index: %v", err)
	}
	return x
}
