package tarindex

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeSample writes one of everything.
func writeSample(t *testing.T, o TarOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewTarWriter(&out, o)
	long := strings.Repeat("long/", 60) + "name"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := func(mode uint32) Attr {
		return Attr{Mode: mode, UID: 1000, GID: 3_000_000_000, Mtime: Time{Sec: 1_500_000_000, Nsec: 123456789}}
	}
	whole := at(ModeRegular | 0o644)
	whole.Mtime.Nsec, whole.GID = 0, 100
	must(w.Directory("", at(ModeDir|0o755), nil))
	must(w.Opaque("d"))
	must(w.Directory("d", at(ModeDir|0o1777), []Xattr{{"user.b", []byte("2")}, {"user.a", nil}}))
	f := at(ModeRegular | 0o4755)
	f.Size = 5
	must(w.File("d/f", f, []Xattr{{"security.capability", []byte("\x00=\n\xff")}}, strings.NewReader("hello")))
	must(w.Link("d/g", "d/f", f))
	must(w.File("plain", whole, nil, strings.NewReader("")))
	must(w.Symlink("s", "d/f", at(ModeSymlink|0o777), nil))
	dev := at(ModeChar | 0o600)
	dev.Major, dev.Minor = 1, 3
	must(w.Node("null", dev, nil))
	dev.Mode = ModeBlock | 0o600
	must(w.Node("blk", dev, nil))
	must(w.Node("fifo", at(ModeFIFO|0o600), nil))
	must(w.Whiteout("d/gone"))
	must(w.Whiteout("gone"))
	must(w.File(long, f, nil, strings.NewReader("long!")))
	f.Mtime = Time{Sec: -2}
	must(w.File("\xff\xfe", f, nil, strings.NewReader("bytes")))
	must(w.Close())
	return out.Bytes()
}

func TestTarWriter(t *testing.T) {
	data := writeSample(t, TarOptions{})
	if !bytes.Equal(data, writeSample(t, TarOptions{})) {
		t.Error("the same calls give other bytes")
	}
	s := roundTrip(t, data)
	if len(s.Warnings) > 0 {
		t.Errorf("warnings: %q", s.Warnings)
	}
	x := s.index
	d, _ := x.Lookup(Root, "d")
	f, _ := x.Lookup(d, "f")
	g, _ := x.Lookup(d, "g")
	if got, want := x.Attr(f), (Attr{Mode: ModeRegular | 0o4755, UID: 1000, GID: 3_000_000_000, Nlink: 2, Size: 5, Mtime: Time{1_500_000_000, 123456789}}); got != want || f != g {
		t.Errorf("d/f: %+v, want %+v", got, want)
	}
	if v, ok := x.Xattr(f, "security.capability"); !ok || string(v) != "\x00=\n\xff" {
		t.Errorf("xattr %q", v)
	}
	if v, ok := x.Xattr(d, "user.a"); !ok || len(v) != 0 {
		t.Errorf("empty xattr %q, %v", v, ok)
	}
	if !x.Opaque(d) || x.Opaque(Root) {
		t.Error("opaque marks")
	}
	for where, want := range map[Ino]string{d: "gone", Root: "gone"} {
		for name := range x.Whiteouts(where) {
			if name != want {
				t.Errorf("whiteout %q", name)
			}
		}
	}
	odd, _ := x.Lookup(Root, "\xff\xfe")
	if got := x.Attr(odd).Mtime; got != (Time{Sec: -2}) {
		t.Errorf("time before the epoch: %v", got)
	}
	// PAX headers only where needed: "plain" and the whiteouts have none.
	if i := bytes.Index(data, []byte("plain\x00")); i%512 != 0 || bytes.Contains(data, []byte("PaxHeaders.0/plain")) {
		t.Error("a plain file has a PAX header")
	}
}

// GNU tar reads the same from it.
func TestTarWriterAgainstGNUTar(t *testing.T) {
	file := filepath.Join(t.TempDir(), "layer.tar")
	if err := os.WriteFile(file, writeSample(t, TarOptions{}), 0o600); err != nil {
		t.Fatal(err)
	}
	got := string(runIn(t, ".", "env", "LC_ALL=C", "TZ=UTC", "tar", "--numeric-owner", "--full-time", "--warning=no-unknown-keyword", "-tvf", file))
	var lines []string
	for line := range strings.Lines(got) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	const at, id = "2017-07-14 02:40:00.123456789", "1000/3000000000"
	want := []string{
		"drwxr-xr-x " + id + " 0 " + at + " ./",
		"---------- 0/0 0 1970-01-01 00:00:00 d/.wh..wh..opq",
		"drwxrwxrwt " + id + " 0 " + at + " d/",
		"-rwsr-xr-x " + id + " 5 " + at + " d/f",
		"hrwsr-xr-x " + id + " 0 " + at + " d/g link to d/f",
		"-rw-r--r-- 1000/100 0 2017-07-14 02:40:00 plain",
		"lrwxrwxrwx " + id + " 0 " + at + " s -> d/f",
		"crw------- " + id + " 1,3 " + at + " null",
		"brw------- " + id + " 1,3 " + at + " blk",
		"prw------- " + id + " 0 " + at + " fifo",
		"---------- 0/0 0 1970-01-01 00:00:00 d/.wh.gone",
		"---------- 0/0 0 1970-01-01 00:00:00 .wh.gone",
		"-rwsr-xr-x " + id + " 5 " + at + " " + strings.Repeat("long/", 60) + "name",
		`-rwsr-xr-x ` + id + ` 5 1969-12-31 23:59:58 \377\376`,
	}
	if diff := sameLines(lines, want...); diff != "" {
		t.Error(diff)
	}
}

// POSIX wants the decimal number -1.5 for a second and a half before the epoch.
func TestTarWriterBeforeEpoch(t *testing.T) {
	var out bytes.Buffer
	w := NewTarWriter(&out, TarOptions{})
	want := Time{Sec: -2, Nsec: 500_000_000}
	if err := errors.Join(w.Directory("d", Attr{Mode: ModeDir, Mtime: want}, nil), w.Close()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(out.Bytes(), []byte("14 mtime=-1.5\n")) {
		t.Errorf("%q", out.Bytes()[512:600])
	}
	s := roundTrip(t, out.Bytes())
	if got := s.index.Attr(1).Mtime; got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestTarWriterClamp(t *testing.T) {
	epoch := Time{Sec: 1_000_000_000}
	s := roundTrip(t, writeSample(t, TarOptions{Clamp: &epoch}))
	for i := range Ino(s.index.Len()) {
		if got := s.index.Attr(i).Mtime; got.after(epoch) {
			t.Errorf("inode %d: %v", i, got)
		}
	}
}

func TestTarWriterRefuses(t *testing.T) {
	for _, path := range []string{"/a", "a/", "a//b", "../a", "a/.", "a\x00b", ".wh.a", "d/.wh.a", strings.Repeat("n", 256)} {
		w := NewTarWriter(&bytes.Buffer{}, TarOptions{})
		if err := w.Directory(path, Attr{Mode: ModeDir}, nil); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", path, err)
		}
		if err := w.Whiteout(path); !errors.Is(err, ErrName) {
			t.Errorf("whiteout %q: %v", path, err)
		}
	}
	w := NewTarWriter(&bytes.Buffer{}, TarOptions{})
	if err := w.Whiteout(""); !errors.Is(err, ErrName) {
		t.Error(err)
	}
	if err := w.Node("s", Attr{Mode: ModeSocket}, nil); !errors.Is(err, ErrSocket) {
		t.Error(err)
	}
	if err := w.Node("s", Attr{Mode: ModeRegular}, nil); err == nil {
		t.Error("a regular file as a node")
	}
	if err := w.File("f", Attr{Mode: ModeRegular, Size: 10}, nil, strings.NewReader("short")); !errors.Is(err, ErrTruncated) {
		t.Error(err)
	}
	if err := w.Directory("d", Attr{Mode: ModeDir}, []Xattr{{"user.a=b", nil}}); !errors.Is(err, ErrXattr) {
		t.Error(err)
	}
	if err := w.Directory("d", Attr{Mode: ModeDir, Mtime: Time{Sec: -62135596800}}, nil); !errors.Is(err, ErrTime) {
		t.Error(err)
	}
	full := NewTarWriter(failingWriter{}, TarOptions{})
	if err := errors.Join(full.Directory("d", Attr{Mode: ModeDir}, nil), full.Close()); !errors.Is(err, errPlanned) {
		t.Error(err)
	}
}
