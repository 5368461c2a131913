package tarindex

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// These benchmarks work on the layers that LAYERS, a pattern of file names,
// matches: tars in any compression. As an import does, they work on as many
// layers at once as there are processors. MB/s and CPU-s/GB are of uncompressed
// bytes; on a busy machine only the second tells anything.

// nullSink hashes as Scan does and stores nothing.
type nullSink struct{}

func (nullSink) Put(Hash, []byte) error              { return nil }
func (nullSink) Create(int64) (ContentWriter, error) { return nullWriter{io.Discard}, nil }

type nullWriter struct{ io.Writer }

func (nullWriter) Commit(Hash) error { return nil }
func (nullWriter) Abort() error      { return nil }

// benchLayers returns the layers, biggest first.
func benchLayers(b *testing.B) [][]byte {
	names, err := filepath.Glob(os.Getenv("LAYERS"))
	if err != nil || len(names) == 0 {
		b.Skip("set LAYERS to a pattern of layer tars")
	}
	var layers [][]byte
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		layers = append(layers, data)
	}
	slices.SortFunc(layers, func(x, y []byte) int { return cmp.Compare(len(y), len(x)) })
	return layers
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchEach runs work for each of n layers, side by side, until the benchmark
// has enough. It returns the number of uncompressed bytes.
func benchEach(b *testing.B, n int, work func(i int) (int64, error)) {
	b.ReportAllocs()
	runtime.GC()
	start, rounds := cpuTime(), 0
	sizes := make([]int64, n)
	for b.Loop() {
		rounds++
		var g errgroup.Group
		g.SetLimit(runtime.GOMAXPROCS(0))
		for i := range n {
			g.Go(func() (err error) {
				sizes[i], err = work(i)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	var total int64
	for _, size := range sizes {
		total += size
	}
	b.SetBytes(total)
	b.ReportMetric((cpuTime()-start).Seconds()/float64(rounds)/(float64(total)/1e9), "CPU-s/GB")
}

func BenchmarkScan(b *testing.B) {
	layers := benchLayers(b)
	benchEach(b, len(layers), func(i int) (int64, error) {
		l, err := Scan(context.Background(), bytes.NewReader(layers[i]), nullSink{}, io.Discard, ScanOptions{})
		if err != nil {
			return 0, err
		}
		return l.Size, l.WriteIndex(io.Discard)
	})
}

func BenchmarkAssemble(b *testing.B) {
	var layers []*Layer
	var records [][]byte
	sink := newMemory()
	for _, data := range benchLayers(b) {
		var rec bytes.Buffer
		l, err := Scan(context.Background(), bytes.NewReader(data), sink, &rec, ScanOptions{})
		if err != nil {
			b.Fatal(err)
		}
		layers, records = append(layers, l), append(records, rec.Bytes())
	}
	benchEach(b, len(layers), func(i int) (int64, error) {
		err := Assemble(context.Background(), bytes.NewReader(records[i]), sink.open, io.Discard, layers[i].DiffID)
		return layers[i].Size, err
	})
}
