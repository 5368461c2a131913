package tarindex

import (
	"bytes"
	"compress/gzip"
	"testing"
	"testing/iotest"

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
	skippable := append(le.AppendUint32([]byte("\x50\x2a\x4d\x18"), 9), "skip this"...)
	filter := func(name string, args ...string) []byte { return runFilter(t, data, name, args...) }
	for _, tc := range []struct {
		name string
		data []byte
		want Compression
	}{
		{"none", data, None},
		{"gzip", gz(data), Gzip},
		{"gzip(1)", filter("gzip", "-9"), Gzip},
		{"gzip members", gz(data[:100], data[100:5000], nil, data[5000:]), Gzip},
		{"gzip and zeros", append(gz(data), make([]byte, 3000)...), Gzip},
		{"zstd(1)", filter("zstd", "-q"), Zstd},
		{"zstd frames", zs(data[:100], data[100:5000], data[5000:]), Zstd},
		{"zstd skippable frames", append(append(bytes.Clone(skippable), zs(data)...), skippable...), Zstd},
		{"bzip2", filter("bzip2"), Bzip2},
		{"xz", filter("xz"), Xz},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := roundTrip(t, tc.data)
			if s.Compression != tc.want || s.DiffID != diffIDOf(data) || s.Size != int64(len(data)) {
				t.Errorf("%s, %s, %d bytes; want %s, %s, %d", s.Compression, s.DiffID, s.Size, tc.want, diffIDOf(data), len(data))
			}
			slow, err := scanReader(t, iotest.OneByteReader(bytes.NewReader(tc.data)))
			if err != nil || slow.DiffID != s.DiffID || slow.CompressedDigest != s.CompressedDigest {
				t.Errorf("one byte at a time: %v", err)
			}
		})
	}
}

func TestTarNamedLikeBzip2(t *testing.T) {
	s := roundTrip(t, tarOf(file("BZh91 is a name", "1")))
	if s.Compression != None || s.Entries != 1 {
		t.Errorf("%s, %d entries", s.Compression, s.Entries)
	}
}
