package tarindex

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/zstd"
)

func TestCompressions(t *testing.T) {
	data := tarOf(dir("d"), file("d/a", "1"), file("d/b", repeat("x", 700_000)), symlink("l", "d"))
	gz := func(parts ...[]byte) []byte {
		var b bytes.Buffer
		for _, p := range parts {
			w := gzip.NewWriter(&b)
			w.Write(p)
			w.Close()
		}
		return b.Bytes()
	}
	zs := func(parts ...[]byte) []byte {
		var b bytes.Buffer
		for _, p := range parts {
			w, _ := zstd.NewWriter(&b)
			w.Write(p)
			w.Close()
		}
		return b.Bytes()
	}
	// What a gzip header can hold beside the data: of one member, and as bgzip has it, of many small ones.
	fields := func(size int) []byte {
		var b bytes.Buffer
		for part := range slices.Chunk(data, size) {
			w := gzip.NewWriter(&b)
			w.Header = gzip.Header{Name: "layer.tar", Comment: "a comment", Extra: []byte("BC\x02\x00\x12\x34"), ModTime: time.Unix(1_700_000_000, 0), OS: 3}
			w.Write(part)
			w.Close()
		}
		return append(b.Bytes(), gz(nil)...)
	}
	skippable := append(le.AppendUint32([]byte("\x50\x2a\x4d\x18"), 9), "skip this"...)
	filter := func(name string, args ...string) []byte { return runFilter(t, data, name, args...) }
	// halves are two compressed files, joined as cat does.
	halves := func(name string, args ...string) []byte {
		return append(runFilter(t, data[:70_000], name, args...), runFilter(t, data[70_000:], name, args...)...)
	}
	for _, tc := range []struct {
		name string
		data []byte
		want Compression
	}{
		{"none", data, None},
		{"gzip", gz(data), Gzip},
		{"gzip(1)", filter("gzip", "-9"), Gzip},
		{"gzip members", gz(data[:100], data[100:5000], nil, data[5000:]), Gzip},
		{"gzip files joined by cat", halves("gzip"), Gzip},
		{"gzip with name, comment and extra field", fields(1 << 30), Gzip},
		{"gzip in blocks, as bgzip", fields(0xff00), Gzip},
		{"gzip members and zeros", append(gz(data[:5000], data[5000:]), make([]byte, 512)...), Gzip},
		{"gzip and zeros", append(gz(data), make([]byte, 3000)...), Gzip},
		{"zstd(1)", filter("zstd", "-q"), Zstd},
		{"zstd frames", zs(data[:100], data[100:5000], data[5000:]), Zstd},
		{"zstd skippable frames", append(append(bytes.Clone(skippable), zs(data)...), skippable...), Zstd},
		{"zstd skippable frame between frames", append(append(zs(data[:5000]), skippable...), zs(data[5000:])...), Zstd},
		{"zstd files joined by cat", halves("zstd", "-q"), Zstd},
		{"zstd without size and checksum", filter("zstd", "-q", "--no-check", "--single-thread"), Zstd},
		{"bzip2", filter("bzip2"), Bzip2},
		{"bzip2 files joined by cat", halves("bzip2"), Bzip2},
		{"xz", filter("xz"), Xz},
		{"xz files joined by cat", halves("xz"), Xz},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := roundTrip(t, tc.data)
			if s.Compression != tc.want || s.DiffID != diffIDOf(data) || s.Size != int64(len(data)) {
				t.Errorf("%s, %s, %d bytes; want %s, %s, %d", s.Compression, s.DiffID, s.Size, tc.want, diffIDOf(data), len(data))
			}
			for how, wrap := range readers {
				again, err := scanReader(t, wrap(bytes.NewReader(tc.data)))
				if err != nil || again.DiffID != s.DiffID || again.CompressedDigest != s.CompressedDigest || !bytes.Equal(again.rec, s.rec) {
					t.Errorf("%s: %v", how, err)
				}
			}
		})
	}
}

// readers give the same bytes in ways that io.Reader allows.
var readers = map[string]func(io.Reader) io.Reader{
	"one byte at a time":       iotest.OneByteReader,
	"half of what is asked":    iotest.HalfReader,
	"the end with the data":    iotest.DataErrReader,
	"nothing, every other one": func(r io.Reader) io.Reader { return &hesitant{r: r} },
	"one or two bytes first":   func(r io.Reader) io.Reader { return io.MultiReader(io.LimitReader(r, 1), io.LimitReader(r, 2), r) },
}

// A hesitant reader returns 0, nil before every read that returns something.
type hesitant struct {
	r    io.Reader
	turn bool
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.turn = !h.turn; h.turn {
		return 0, nil
	}
	return h.r.Read(p)
}

// The forms of layers for lazy pulling hide a table of contents where other
// readers pass over it. See testdata/layers/README.md.
func TestLazyPullingForms(t *testing.T) {
	files := lines("a=first\n #2", "d/", "d/b=0123456789abcdef0123...4800", "empty=", "h=first\n #2", "l -> d/b")
	for _, tc := range []struct {
		name   string
		want   Compression
		diffID string
		more   []string
	}{
		{name: "chunked.tar.zst", want: Zstd, diffID: "sha256:b94904d9ba43c2fb0ac25fa61de2a1268595818e157a3c2b93f3eea5836ff7a2"},
		{name: "estargz.tar.gz", want: Gzip, diffID: "sha256:7d0d68d32f8166e99741c7abf0d1bcb7899e8941e50f20ce7cca5560bf3248dd",
			more: lines(".no.prefetch.landmark=\x0f", `stargz.index.json={
	"version": 1,
	"e...2390`)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", "layers", tc.name))
			if err != nil {
				t.Fatal(err)
			}
			s := roundTrip(t, data)
			if s.Compression != tc.want || s.DiffID.String() != tc.diffID {
				t.Errorf("%s, %s; want %s, %s", s.Compression, s.DiffID, tc.want, tc.diffID)
			}
			if diff := sameSet(list(mergeLayers(t, s.index), s.sink.text), append(tc.more, files...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// pzstd writes many frames, with skippable ones between them.
func TestPzstd(t *testing.T) {
	if _, err := exec.LookPath("pzstd"); err != nil {
		t.Skip(err)
	}
	data := tarOf(file("big", repeat("0123456789abcdef", 400_000)))
	s := roundTrip(t, runFilter(t, data, "pzstd", "-q", "-p", "4", "-c", "-"))
	if s.Compression != Zstd || s.DiffID != diffIDOf(data) {
		t.Errorf("%s, %s", s.Compression, s.DiffID)
	}
}

// Two archives of GNU tar as one: joined by tar -A the second counts, joined by
// cat it does not, unless tar is told to pass over zeros.
func TestConcatenated(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"f", "g"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
		runIn(t, root, "tar", "-cf", name+".tar", name)
	}
	joined := runIn(t, root, "cat", "f.tar", "g.tar")
	runIn(t, root, "tar", "-Af", "f.tar", "g.tar")
	appended, err := os.ReadFile(filepath.Join(root, "f.tar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		data []byte
		tree []string
	}{
		{"tar -A", appended, lines("f=f", "g=g")},
		{"cat", joined, lines("f=f")},
	} {
		s := roundTrip(t, tc.data)
		if diff := sameLines(list(mergeLayers(t, s.index), s.sink.text), tc.tree...); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
		if listed := string(runFilter(t, tc.data, "tar", "-t")); len(tc.tree) != bytes.Count([]byte(listed), []byte("\n")) {
			t.Errorf("%s: GNU tar lists %q", tc.name, listed)
		}
	}
}

// The layer without files that Docker made famous.
func TestEmptyLayer(t *testing.T) {
	s := roundTrip(t, make([]byte, 1024))
	if s.DiffID != "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef" || s.Entries != 0 {
		t.Errorf("%s, %d entries", s.DiffID, s.Entries)
	}
}

func TestTarNamedLikeBzip2(t *testing.T) {
	s := roundTrip(t, tarOf(file("BZh91 is a name", "1")))
	if s.Compression != None || s.Entries != 1 {
		t.Errorf("%s, %d entries", s.Compression, s.Entries)
	}
}
