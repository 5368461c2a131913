package tarindex

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"
)

// nullSink hashes as Scan does and stores nothing.
type nullSink struct{}

func (nullSink) Put(Hash, []byte) error         { return nil }
func (nullSink) Create() (ContentWriter, error) { return nullWriter{io.Discard}, nil }

type nullWriter struct{ io.Writer }

func (nullWriter) Commit(Hash) error { return nil }
func (nullWriter) Abort() error      { return nil }

// BenchmarkScan scans the layer that LAYER names.
func BenchmarkScan(b *testing.B) {
	data, err := os.ReadFile(os.Getenv("LAYER"))
	if err != nil {
		b.Skip("set LAYER to a layer tar")
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Scan(context.Background(), bytes.NewReader(data), nullSink{}, io.Discard, ScanOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
