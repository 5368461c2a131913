package tarindex

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// memoryMax is what a scan may take beside its index and the program itself,
// whatever the stream.
const memoryMax = 64 << 20

// memoryEnv turns the test program into one that scans its standard input.
const memoryEnv = "LAYERFS_TEST_SCAN_STDIN"

// TestMemory scans hostile streams whose index is tiny in a process of its own,
// and asks the kernel for the most memory that it had. What an empty tar takes
// is the program's.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("scans some GiB")
	}
	if raced {
		t.Skip("measures memory, most of which would be the race detector's; runs without it")
	}
	empty := scanInChild(t, func(w io.Writer) { w.Write(make([]byte, 1024)) })
	t.Logf("the program itself: %d KiB", empty>>10)
	for _, s := range hostileStreams(t) {
		t.Run(s.name, func(t *testing.T) {
			took := scanInChild(t, s.write) - empty
			t.Logf("%d KiB", took>>10)
			if took > memoryMax {
				t.Errorf("the scan took %d bytes of memory, the limit is %d", took, memoryMax)
			}
		})
	}
}

// scanInChild pipes a stream into a scan and returns the child's peak memory.
func scanInChild(t *testing.T, write func(io.Writer)) int64 {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestScanStdin$", "-test.v")
	cmd.Env = append(os.Environ(), memoryEnv+"=1", "GOGC=100", "GOMEMLIMIT=off")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write(in) // a child that refuses the stream closes it, which is no fault
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	_, line, ok := strings.Cut(out.String(), "peak ")
	peak, _, _ := strings.Cut(line, "\n")
	n, err := strconv.ParseInt(peak, 10, 64)
	if !ok || err != nil {
		t.Fatalf("the child says %q", out.String())
	}
	return n
}

// nowhere is a sink as slow as a bad disk where it gets much, so that all queues before it are full.
type nowhere struct{}

func (nowhere) Put(_ Hash, data []byte) error {
	if len(data) > 64<<10 {
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

func (nowhere) Create(int64) (ContentWriter, error) { return nowhere{}, nil }

func (nowhere) Write(p []byte) (int, error) {
	time.Sleep(time.Millisecond / 4)
	return len(p), nil
}
func (nowhere) Commit(Hash) error { return nil }
func (nowhere) Abort() error      { return nil }

// TestScanStdin is the child of TestMemory.
func TestScanStdin(t *testing.T) {
	if os.Getenv(memoryEnv) == "" {
		t.Skip("the child of TestMemory")
	}
	l, err := Scan(context.Background(), os.Stdin, nowhere{}, io.Discard, ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var index bytes.Buffer
	if err := l.WriteIndex(&index); err != nil {
		t.Fatal(err)
	}
	if index.Len() > 1<<20 {
		t.Fatalf("the index has %d bytes: a stream that proves nothing", index.Len())
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\npeak %d\n", kib<<10)
}

type hostileStream struct {
	name  string
	write func(io.Writer)
}

// hostileStreams are made of one piece that is compressed once and repeated, so
// that they cost their reader more than their writer.
func hostileStreams(t *testing.T) []hostileStream {
	gz := func(b []byte) []byte {
		var out bytes.Buffer
		z, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
		z.Write(b)
		z.Close()
		return out.Bytes()
	}
	end := gz(make([]byte, 1024))
	// repeated writes piece n times as members of one gzip stream.
	repeated := func(n int, piece []byte) func(io.Writer) {
		return func(w io.Writer) {
			z := gz(piece)
			for range n {
				w.Write(z)
			}
			w.Write(end)
		}
	}
	times := func(n int, make func(i int) ent) []byte {
		var b bytes.Buffer
		for i := range n {
			b.Write(make(i).bytes())
		}
		return b.Bytes()
	}
	random := func(n int) []byte {
		b := make([]byte, n)
		rand.NewChaCha8([32]byte{}).Read(b)
		return b
	}
	comment := "comment=" + repeat("c", 1<<20-60)
	// Maps of as many fragments as 1 MiB holds, all of them empty.
	const fragments = 260_000
	sparseMap1 := ent{name: "f", body: fmt.Sprint(fragments, "\n", strings.Repeat("0\n0\n", fragments)),
		pax: []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=f", "GNU.sparse.realsize=1"}}
	sparseMap1.body += repeat("\x00", -len(sparseMap1.body)&511)
	sparseMap0 := ent{name: "f",
		pax: []string{"GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=1", fmt.Sprint("GNU.sparse.numblocks=", fragments), "GNU.sparse.map=" + strings.TrimSuffix(strings.Repeat("0,0,", fragments), ",")}}
	return []hostileStream{
		{"2 GiB of zeros", func(w io.Writer) {
			w.Write(gz(ent{name: "f", size: 2 << 30}.bytes()))
			z := gz(make([]byte, 64<<20))
			for range 32 {
				w.Write(z)
			}
			w.Write(end)
		}},
		{"PAX headers of 1 MiB", repeated(100, ent{name: "f", body: "x", pax: []string{comment}}.bytes())},
		{"links with PAX headers of 1 MiB", func(w io.Writer) {
			for i := range 100 {
				w.Write(gz(ent{typ: '2', name: fmt.Sprint("s", i), link: "x", pax: []string{"linkpath=target", comment}}.bytes()))
				w.Write(gz(ent{typ: '1', name: fmt.Sprint("h", i), pax: []string{"linkpath=target", comment}}.bytes()))
			}
			w.Write(end)
		}},
		{"PAX headers of many records", repeated(30, manyRecords())},
		{"global headers", repeated(100, times(1000, func(int) ent { return ent{typ: 'g', name: "g", body: paxRecord("comment=x")} }))},
		{"big global headers", repeated(100, ent{typ: 'g', name: "g", body: paxRecord(comment)}.bytes())},
		{"long names", repeated(100, times(10, func(int) ent { return ent{name: "f", pax: []string{"path=" + repeat("./", 30_000) + "f"}} }))},
		{"long names of files", repeated(100, times(10, func(int) ent {
			return ent{name: "f", body: "x", pax: []string{"path=" + repeat("./", 30_000) + "f"}}
		}))},
		{"long names left out", repeated(100, times(10, func(int) ent { return ent{name: "f", pax: []string{"path=../" + repeat("x/", 30_000)}} }))},
		{"sparse maps", repeated(30, sparseMap1.bytes())},
		{"sparse maps in extended headers", repeated(30, sparseMap0.bytes())},
		{"PAX headers of 1 MiB that make no sense", repeated(100, ent{name: "f", body: "x", pax: []string{comment, "uid=nobody"}}.bytes())},
		{"as many headers as are allowed that make no sense", repeated(30, append(bytes.Repeat(ent{typ: 'x', name: "x", body: paxRecord(comment) + repeat("\x00", 20)}.bytes(), 3), ent{name: "f", body: "x", pax: []string{"uid=nobody"}}.bytes()...))},
		{"PAX records that make no sense", repeated(30, append(ent{typ: 'x', name: "x", body: string(manyRecords()[512:1<<19]) + "x"}.bytes(), file("f", "x").bytes()...))},
		{"sparse maps that make no sense", repeated(30, func() []byte { e := sparseMap1; e.body = "260001" + e.body[6:]; return e.bytes() }())},
		{"sparse files that do not fit", repeated(80, ent{name: "f", body: "xy", pax: []string{"GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=5000000", "GNU.sparse.numblocks=1", "GNU.sparse.map=0,1"}}.bytes())},
		{"entries that make no sense", repeated(400, times(1000, func(int) ent { return spoil(file("f", "x")) }))},
		{"sparse files", repeated(80, ent{name: "f", body: "x", pax: []string{"GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=5000000", "GNU.sparse.numblocks=1", "GNU.sparse.map=0,1"}}.bytes())},
		{"one name again and again", repeated(400, times(1000, func(int) ent { return file("f", "x") }))},
		{"directories replaced by files", func(w io.Writer) {
			for i := range 100 {
				w.Write(gz(append(times(1000, func(k int) ent { return file(fmt.Sprintf("d/%d-%d", i, k), "") }), file("d", "").bytes()...)))
			}
			w.Write(end)
		}},
		{"whiteouts replaced by files", func(w io.Writer) {
			for i := range 100 {
				w.Write(gz(append(times(1000, func(k int) ent { return file(fmt.Sprintf("d/.wh.%d-%d", i, k), "") }), file("d", "").bytes()...)))
			}
			w.Write(end)
		}},
		{"files as big as a block", repeated(1000, file("f", repeat("x", blockSize)).bytes())},
		{"small files across blocks", repeated(1000, file("f", repeat("x", blockSize-300)).bytes())},
		{"empty gzip members", func(w io.Writer) {
			w.Write(bytes.Repeat(gz(nil), 1_000_000))
			w.Write(end)
		}},
		{"empty bzip2 streams", func(w io.Writer) {
			w.Write(bytes.Repeat(runFilter(t, nil, "bzip2"), 300_000))
			w.Write(runFilter(t, make([]byte, 1024), "bzip2"))
		}},
		{"empty xz streams", func(w io.Writer) {
			w.Write(bytes.Repeat(runFilter(t, nil, "xz"), 300_000))
			w.Write(runFilter(t, make([]byte, 1024), "xz"))
		}},
		{"xz with a big dictionary", func(w io.Writer) {
			w.Write(runFilter(t, tarOf(file("f", repeat("x", 100<<20))), "xz", "--lzma2=preset=0,dict=32MiB"))
		}},
		{"skippable frames", func(w io.Writer) {
			frame := append([]byte("\x50\x2a\x4d\x18\x00\x00\x10\x00"), make([]byte, 1<<20)...)
			for range 100 {
				w.Write(frame)
			}
			w.Write(bytes.Repeat([]byte("\x50\x2a\x4d\x18\x00\x00\x00\x00"), 1_000_000))
			w.Write(runFilter(t, make([]byte, 1024), "zstd", "-q"))
		}},
		{"zstd with a big window", func(w io.Writer) {
			z, err := zstd.NewWriter(w, zstd.WithWindowSize(32<<20), zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
			if err != nil {
				t.Error(err)
			}
			for range 3 {
				z.Write(file("f", string(random(40<<20))).bytes())
				z.Write(manyRecords())
				z.Write(times(20_000, func(int) ent { return file("f", "x") }))
			}
			z.Write(make([]byte, 1024))
			z.Close()
		}},
	}
}

// manyRecords is a file with as many records as an extended header holds.
func manyRecords() []byte {
	var all strings.Builder
	for i := range 80_000 {
		all.WriteString(paxRecord(fmt.Sprintf("%05d=x", i)))
	}
	return blocksOf(ent{typ: 'x', name: "p", body: all.String()}, file("f", "x"))
}
