package tarindex

import (
	"bytes"
	"compress/gzip"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
)

// Every stream that a tar program can read comes back byte for byte. tree is
// what the base layer shows, and warned whether something was left out of it.
func TestExact(t *testing.T) {
	comp255, comp256 := repeat("n", 255), repeat("n", 256)
	deep := repeat("dir12/", 200) + "f"
	big := repeat("0123456789abcdef", 40_000) // 640,000 bytes: more than one block
	for _, tc := range []struct {
		name   string
		data   []byte
		tree   []string
		warned bool
	}{
		{name: "zero bytes"},
		{name: "well-known empty layer", data: make([]byte, 1024)},
		{name: "blocking factor 20", data: make([]byte, 10240)},
		{name: "no end of archive", data: blocksOf(file("f", "x")), tree: []string{"f=x"}},
		{name: "one end block", data: append(blocksOf(file("f", "x")), make([]byte, 512)...), tree: []string{"f=x"}},
		{name: "part of an end block", data: append(tarOf(file("f", "x")), make([]byte, 100)...), tree: []string{"f=x"}},
		{name: "lone zero block, then something", data: append(append(blocksOf(file("f", "x")), make([]byte, 512)...), repeat("junk", 300)...), tree: []string{"f=x"}, warned: true},
		{name: "junk after the end", data: append(tarOf(file("f", "x")), repeat("junk!", 70_000)...), tree: []string{"f=x"}},
		{name: "concatenated", data: append(tarOf(file("f", "x")), tarOf(file("g", "y"))...), tree: []string{"f=x"}},
		{name: "padding is cut off", data: ent{name: "f", body: "x", noPadding: true}.bytes(), tree: []string{"f=x"}},
		{name: "junk as padding", data: append(ent{name: "f", body: "x", noPadding: true}.bytes(), append([]byte(repeat("p", 511)), tarOf(file("g", "y"))...)...), tree: []string{"f=x", "g=y"}},
		{name: "big", data: tarOf(file("a", "1"), file("big", big), file("b", "2")), tree: []string{"a=1", "b=2", "big=0123456789abcdef0123...640000"}},
		{name: "same content many times", data: tarOf(file("a", "same"), file("b", "same"), file("c", "same")), tree: []string{"a=same", "b=same", "c=same"}},
		{name: "duplicate names", data: tarOf(file("f", "1"), file("f", "2"), file("./f", "3")), tree: []string{"f=3"}},
		{name: "duplicate directories", data: tarOf(dir("d/"), file("d/f", "1"), dir("./d/"), dir("d")), tree: []string{"d/", "d/f=1"}},
		{name: "hard link with size", data: tarOf(file("f", "1"), ent{typ: '1', name: "l", link: "f", size: 100}), tree: []string{"f=1 #2", "l=1 #2"}},
		{name: "symbolic link with size", data: tarOf(ent{typ: '2', name: "l", link: "t", size: 1000}, file("f", "1")), tree: []string{"f=1", "l -> t"}},
		{name: "directory with size", data: tarOf(ent{typ: '5', name: "d", size: 77, mode: 0o755}, file("d/f", "1")), tree: []string{"d/", "d/f=1"}},
		{name: "whiteout with content", data: tarOf(file(".wh.x", "content"), file("f", "1")), tree: []string{"f=1"}},
		{name: "names that cannot be", data: tarOf(file("../evil", "1"), file("a/../b", "2"), file(".wh.", "3"), file(".wh..", "4"), file(".wh...", "5"), file("", "6"), file(".wh..wh.plnk", "7")), warned: true},
		{name: "type flag NUL", data: tarOf(ent{typ: nul, name: "f", body: "1"}, ent{typ: nul, name: "d/"}), tree: []string{"d/", "f=1"}},
		{name: "type flag 7", data: tarOf(ent{typ: '7', name: "f", body: "1"}), tree: []string{"f=1"}},
		{name: "unknown type flag", data: tarOf(ent{typ: 'z', name: "f", body: "1"}), tree: []string{"f=1"}},
		{name: "type flags V M N", data: tarOf(ent{typ: 'V', name: "volume"}, ent{typ: 'M', name: "m", body: "rest"}, ent{typ: 'N', name: "n", body: "names"}, file("f", "1")), tree: []string{"f=1"}, warned: true},
		{name: "type flag D", data: tarOf(ent{typ: 'D', name: "d/", body: "Yf\x00\x00", mode: 0o755}, file("d/f", "1")), tree: []string{"d/", "d/f=1"}},
		{name: "global headers", data: tarOf(ent{typ: 'g', name: "g", body: paxRecord("comment=1")}, file("f", "1"), ent{typ: 'g', name: "g", body: paxRecord("comment=2")}, file("g", "2")), tree: []string{"f=1", "g=2"}},
		{name: "v7", data: tarOf(ent{name: "f", body: "1", format: "v7"}), tree: []string{"f=1"}},
		{name: "star", data: tarOf(ent{name: "f", body: "1", format: "star"}), tree: []string{"f=1"}},
		{name: "gnu", data: tarOf(ent{name: "f", body: "1", format: "gnu"}), tree: []string{"f=1"}},
		{name: "gnu long name and link", data: tarOf(gnuLong('L', deep), ent{name: "cut", body: "1", format: "gnu"}, gnuLong('K', deep), ent{typ: '1', name: "l", format: "gnu"}), tree: append(dirsOf(deep), deep+"=1 #2", "l=1 #2")},
		{name: "pax path", data: tarOf(ent{name: "cut", body: "1", pax: []string{"path=" + deep}}), tree: append(dirsOf(deep), deep+"=1")},
		{name: "component of 255", data: tarOf(ent{name: "cut", body: "1", pax: []string{"path=" + comp255}}), tree: []string{comp255 + "=1"}},
		{name: "component of 256", data: tarOf(ent{name: "cut", body: "1", pax: []string{"path=" + comp256}}), warned: true},
		{name: "not UTF-8", data: tarOf(file("\xff\xfe", "1")), tree: []string{"\xff\xfe=1"}},
		{name: "absolute", data: tarOf(file("/a/b", "1"), hardlink("/c", "/a/b")), tree: []string{"a/", "a/b=1 #2", "c=1 #2"}},
		{name: "ids of base 256, time before the epoch", data: tarOf(ent{name: "f", body: "1", uid: 3_000_000_000, gid: 2 << 20, mtime: -5}), tree: []string{"f=1"}},
		{name: "id beyond 32 bits", data: tarOf(ent{name: "f", body: "1", uid: 1 << 40}), tree: []string{"f=1"}, warned: true},
		{name: "dots that are names", data: tarOf(file("..gitme", "1"), file("...", "2")), tree: []string{"...=2", "..gitme=1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := roundTrip(t, tc.data)
			x := mergeLayers(t, s.index)
			if diff := sameLines(list(x, s.sink.text), tc.tree...); diff != "" {
				t.Error(diff)
			}
			if (len(s.Warnings) > 0) != tc.warned {
				t.Errorf("warnings: %q", s.Warnings)
			}
		})
	}
}

// dirsOf lists the directories of a path.
func dirsOf(path string) (dirs []string) {
	for i := range len(path) {
		if path[i] == '/' {
			dirs = append(dirs, path[:i+1])
		}
	}
	return dirs
}

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
