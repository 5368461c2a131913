package tarindex

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// What is no tar is refused, and tells why.
func TestRefused(t *testing.T) {
	good := tarOf(file("f", repeat("x", 2000)), file("g", repeat("y", 300_000)))
	gz := runFilter(t, good, "gzip")
	xz := runFilter(t, good, "xz")
	zst := runFilter(t, good, "zstd", "-q")
	bz := runFilter(t, good, "bzip2")
	flipped := bytes.Clone(gz)
	flipped[len(gz)/2] ^= 0x10
	half := func(b []byte) []byte { return b[:len(b)/2] }
	ustar := tarOf(file("f", "x"))
	badSum := bytes.Clone(ustar)
	badSum[0] ^= 1
	for _, tc := range []struct {
		name string
		data []byte
		want error
	}{
		{"text", []byte(repeat("no tar at all\n", 100)), ErrNotTar},
		{"short text", []byte("no tar"), ErrNotTar},
		{"zeros and junk", append(make([]byte, 512), repeat("junk", 500)...), ErrNotTar},
		{"wrong checksum", badSum, ErrNotTar},
		{"junk in the middle", append(blocksOf(file("f", "x")), repeat("junk", 500)...), ErrNotTar},
		{"ends in a header", blocksOf(file("f", ""), file("g", ""))[:700], ErrTruncated},
		{"ends in a file", good[:1000], ErrTruncated},
		{"ends in a big file", good[:20_000], ErrTruncated},
		{"ends in a PAX header", ent{name: "f", pax: []string{"comment=" + repeat("c", 2000)}}.bytes()[:1000], ErrTruncated},
		{"gzip cut off", half(gz), ErrTruncated},
		{"gzip without trailer", gz[:len(gz)-4], ErrTruncated},
		{"gzip header only", gz[:5], ErrTruncated},
		{"gzip damaged", flipped, ErrCorrupt},
		{"gzip and junk", append(bytes.Clone(gz), "junk"...), ErrCorrupt},
		{"zstd cut off", half(zst), ErrTruncated},
		{"xz cut off", half(xz), ErrTruncated},
		{"bzip2 cut off", half(bz), ErrTruncated},
		{"gzip of no tar", runFilter(t, []byte(repeat("text", 1000)), "gzip"), ErrNotTar},
		{"PAX header too long", tarOf(ent{name: "f", pax: []string{"comment=" + repeat("c", 2<<20)}}), ErrLimit},
		{"path too deep", tarOf(ent{name: "f", pax: []string{"path=" + repeat("a/", 5000)}}), ErrLimit},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := scanReader(t, bytes.NewReader(tc.data))
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			t.Log(err)
		})
	}
}

func TestLimits(t *testing.T) {
	zeros := runFilter(t, tarOf(file("f", repeat("\x00", 80<<20))), "gzip", "-1")
	sparse := tarOf(ent{name: "f", body: "x", pax: []string{"GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=10000000000", "GNU.sparse.numblocks=1", "GNU.sparse.map=0,1"}})
	for _, tc := range []struct {
		name string
		data []byte
		l    Limits
	}{
		{"entries", tarOf(file("a", ""), file("b", "")), Limits{Entries: 1}},
		{"inodes", tarOf(file("a/b/c/d", "")), Limits{Entries: 3}},
		{"names", tarOf(file(repeat("a", 90), ""), file(repeat("b", 90), "")), Limits{Names: 100}},
		{"depth", tarOf(file("a/b/c/d", "")), Limits{Depth: 2}},
		{"size", tarOf(file("a", repeat("x", 300_000))), Limits{Size: 200_000}},
		{"size of holes", sparse, Limits{Size: 1 << 30}},
		{"ratio", zeros, Limits{Ratio: 100}},
		{"window", runFilter(t, tarOf(file("f", repeat("x", 10<<20))), "zstd", "-q", "--long=24"), Limits{Window: 1 << 20}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Scan(context.Background(), bytes.NewReader(tc.data), newMemory(), io.Discard, ScanOptions{Limits: tc.l})
			if !errors.Is(err, ErrLimit) {
				t.Error(err)
			}
			t.Log(err)
		})
	}
}

var errPlanned = errors.New("planned")

type failingSink struct{ put, create, write, commit error }

func (s failingSink) Put(Hash, []byte) error              { return s.put }
func (s failingSink) Create(int64) (ContentWriter, error) { return s, s.create }
func (s failingSink) Write(p []byte) (int, error)         { return len(p), s.write }
func (s failingSink) Commit(Hash) error                   { return s.commit }
func (s failingSink) Abort() error                        { return nil }

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errPlanned }

// Errors of what the caller gives come out as they are.
func TestScanPassesErrors(t *testing.T) {
	data := tarOf(file("small", "x"), file("big", repeat("y", 3_000_000)))
	ok := failingSink{}
	for _, tc := range []struct {
		name string
		r    io.Reader
		sink Sink
		rec  io.Writer
	}{
		{"read", io.MultiReader(bytes.NewReader(data[:5000]), iotest.ErrReader(errPlanned)), ok, io.Discard},
		{"read of gzip", io.MultiReader(bytes.NewReader(runFilter(t, data, "gzip")[:500]), iotest.ErrReader(errPlanned)), ok, io.Discard},
		{"read of zstd", io.MultiReader(bytes.NewReader(runFilter(t, data, "zstd", "-q")[:100]), iotest.ErrReader(errPlanned)), ok, io.Discard},
		{"first read", iotest.ErrReader(errPlanned), ok, io.Discard},
		{"put", bytes.NewReader(data), failingSink{put: errPlanned}, io.Discard},
		{"create", bytes.NewReader(data), failingSink{create: errPlanned}, io.Discard},
		{"write", bytes.NewReader(data), failingSink{write: errPlanned}, io.Discard},
		{"commit", bytes.NewReader(data), failingSink{commit: errPlanned}, io.Discard},
		{"record", bytes.NewReader(data), ok, failingWriter{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Scan(context.Background(), tc.r, tc.sink, tc.rec, ScanOptions{}); !errors.Is(err, errPlanned) {
				t.Error(err)
			}
		})
	}
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(errPlanned)
		if _, err := Scan(ctx, bytes.NewReader(data), ok, io.Discard, ScanOptions{}); !errors.Is(err, errPlanned) {
			t.Error(err)
		}
	})
}

// Assemble finds every damage of a record and of contents.
func TestAssembleFindsDamage(t *testing.T) {
	s := roundTrip(t, tarOf(file("f", "some content"), file("g", repeat("y", 600_000))))
	assemble := func(rec []byte, open func(Hash) (io.ReadCloser, error)) error {
		return Assemble(context.Background(), bytes.NewReader(rec), open, io.Discard, s.DiffID)
	}
	for i := range s.rec {
		rec := bytes.Clone(s.rec)
		rec[i] ^= 0x04
		// The zstd frame has fields that no output depends on.
		var out bytes.Buffer
		err := Assemble(context.Background(), bytes.NewReader(rec), s.sink.open, &out, s.DiffID)
		if err == nil && diffIDOf(out.Bytes()) != s.DiffID {
			t.Errorf("damage at byte %d was not found", i)
		}
	}
	for name, change := range map[string]func([]byte) []byte{
		"changed": func(b []byte) []byte { c := bytes.Clone(b); c[0] ^= 1; return c },
		"short":   func(b []byte) []byte { return b[1:] },
		"long":    func(b []byte) []byte { return append(bytes.Clone(b), 0) },
	} {
		err := assemble(s.rec, func(h Hash) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(change(s.sink.contents[h]))), nil
		})
		if !errors.Is(err, ErrDigest) && !errors.Is(err, ErrCorrupt) {
			t.Errorf("content %s: %v", name, err)
		}
	}
	if err := assemble(s.rec, func(Hash) (io.ReadCloser, error) { return nil, errPlanned }); !errors.Is(err, errPlanned) {
		t.Error(err)
	}
	if err := assemble([]byte("no record"), s.sink.open); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
	if err := Assemble(context.Background(), bytes.NewReader(s.rec), s.sink.open, failingWriter{}, s.DiffID); !errors.Is(err, errPlanned) {
		t.Error(err)
	}
}
