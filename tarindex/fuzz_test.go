package tarindex

import (
	"bytes"
	"context"
	"io"
	"testing"
)

// small keeps the fuzzers from spending their time on big but harmless input.
var small = ScanOptions{Limits: Limits{Entries: 1000, Size: 1 << 20, Names: 1 << 20, Depth: 100}}

func seeds(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 1024))
	f.Add(tarOf(dir("d"), file("d/f", "content"), hardlink("l", "d/f"), symlink("s", "d"), file("s/g", "2")))
	f.Add(tarOf(file(".wh.f", ""), file("d/.wh..wh..opq", ""), hardlink("l", "lower"), file("../x", "y")))
	f.Add(tarOf(gnuLong('L', repeat("n/", 60)), file("cut", "1"), ent{name: "p", body: "x", pax: []string{"path=pax", "mtime=-1.5", "SCHILY.xattr.user.a=b"}}))
	f.Add(tarOf(ent{name: "f", body: "x", pax: []string{"GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=9", "GNU.sparse.numblocks=1", "GNU.sparse.map=4,1"}}))
	f.Add(tarOf(ent{name: "f", body: "1\n4\n1\n" + string(make([]byte, 506)) + "x", pax: []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=9"}}))
	for _, cases := range exactCases() {
		for _, tc := range cases {
			if len(tc.data) <= 16<<10 {
				f.Add(tc.data)
			}
		}
	}
	f.Add(runFilter(f, tarOf(file("f", "gzip")), "gzip"))
	f.Add(runFilter(f, tarOf(file("f", "zstd")), "zstd", "-q"))
	f.Add(runFilter(f, tarOf(file("f", "xz")), "xz"))
	f.Add(runFilter(f, tarOf(file("f", "bzip2")), "bzip2"))
}

// fix puts right checksums into what may be headers, so that a changed byte of
// a header is not the end of it.
func fix(data []byte) []byte {
	if detect(data) != None {
		return data
	}
	data = bytes.Clone(data)
	for off := 0; off+512 <= len(data); off += 512 {
		if h := data[off : off+512]; bytes.HasPrefix(h[257:], []byte("ustar")) {
			checksum(h)
		}
	}
	return data
}

// FuzzScan: whatever is scanned is refused or becomes a whole index.
func FuzzScan(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Scan(context.Background(), bytes.NewReader(data), newMemory(), io.Discard, small)
		if err != nil {
			return
		}
		verifiedIndex(t, l)
	})
}

// FuzzRoundTrip: what is accepted comes back, and its index merges.
func FuzzRoundTrip(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		data = fix(data)
		sink := newMemory()
		var rec, index, out bytes.Buffer
		l, err := Scan(context.Background(), bytes.NewReader(data), sink, &rec, small)
		if err != nil {
			return
		}
		if err := Assemble(context.Background(), &rec, sink.open, &out, l.DiffID); err != nil {
			t.Fatal(err)
		}
		if l.Compression == None && !bytes.Equal(out.Bytes(), data) {
			t.Fatal("other bytes come back")
		}
		if err := l.WriteIndex(&index); err != nil {
			t.Fatal(err)
		}
		x, err := Parse(index.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		mergeLayers(t, x, x)
		for h := range x.Contents() {
			if _, ok := sink.contents[h]; !ok {
				t.Fatalf("no content %s", h)
			}
		}
	})
}

// FuzzIndex: a damaged index harms nobody.
func FuzzIndex(f *testing.F) {
	f.Add(sample(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		if x, err := Parse(data); err == nil {
			use(x)
			x.Verify()
		}
		if len(data) >= headerSize {
			if x, err := Parse(reseal(bytes.Clone(data))); err == nil && x.Verify() == nil {
				use(x)
				mergeLayers(t, x, x)
			}
		}
	})
}

// FuzzMerge: neither do two of them.
func FuzzMerge(f *testing.F) {
	whole := sample(f)
	s := roundTrip(f, tarOf(file(".wh.f", ""), dir("d"), file("d/.wh..wh..opq", ""), hardlink("l", "x"), file("etc/new", "y")))
	var layer bytes.Buffer
	if err := s.WriteIndex(&layer); err != nil {
		f.Fatal(err)
	}
	f.Add(whole, layer.Bytes())
	f.Add(layer.Bytes(), whole)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		x, err := Parse(a)
		if err != nil {
			return
		}
		y, err := Parse(b)
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := Merge(x, y, &out); err != nil {
			return
		}
		if m, err := Parse(out.Bytes()); err != nil {
			t.Fatal(err)
		} else {
			use(m)
		}
	})
}
