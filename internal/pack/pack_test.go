package pack_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/layerfs/layerfs/internal/pack"
	"github.com/layerfs/layerfs/tarindex"
)

func hashOf(data string) tarindex.Hash { return sha256.Sum256([]byte(data)) }

// write makes a pack of the contents and returns its path and name.
func write(t testing.TB, contents ...string) (path, name string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pack")
	w, err := pack.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range contents {
		if err := w.Append(hashOf(c), []byte(c)); err != nil {
			t.Fatal(err)
		}
	}
	if w.Len() != len(contents) {
		t.Errorf("%d contents appended, Len says %d", len(contents), w.Len())
	}
	if name, err = w.Finish(); err != nil {
		t.Fatal(err)
	}
	return path, name
}

func open(t testing.TB, path string) *pack.Pack {
	t.Helper()
	p, err := pack.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// byHand makes the bytes of a pack as the package comment describes them.
func byHand(contents ...string) []byte {
	b := append([]byte("layerfsP"), 1, 0, 0, 0, 0, 0, 0, 0)
	type row struct {
		hash      [32]byte
		off, size uint64
	}
	var rows []row
	for _, c := range contents {
		rows = append(rows, row{sha256.Sum256([]byte(c)), uint64(len(b)), uint64(len(c))})
		b = append(b, c...)
	}
	slices.SortFunc(rows, func(a, b row) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	var sealed bytes.Buffer
	for _, part := range []any{rows, uint64(len(b)), uint64(len(rows)), uint32(1), uint32(0)} {
		if r, ok := part.([]row); ok {
			for _, r := range r {
				sealed.Write(r.hash[:])
				binary.Write(&sealed, binary.LittleEndian, []uint64{r.off, r.size})
			}
			continue
		}
		binary.Write(&sealed, binary.LittleEndian, part)
	}
	sum := sha256.Sum256(sealed.Bytes())
	return slices.Concat(b, sealed.Bytes(), sum[:], []byte("Pfsreyal"))
}

func TestFormat(t *testing.T) {
	for _, contents := range [][]string{{}, {"one"}, {"one", "two", "three", "four", string(make([]byte, 300_000))}} {
		want := byHand(contents...)
		path, name := write(t, contents...)
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d contents: %v\n%q\nby hand\n%q", len(contents), err, got, want)
		}
		if sum := hex.EncodeToString(want[len(want)-40 : len(want)-8]); name != sum {
			t.Errorf("name %s, want %s", name, sum)
		}
		var bytes int64
		for _, c := range contents {
			bytes += int64(len(c))
		}
		if n := pack.Size(len(contents), bytes); n != int64(len(want)) {
			t.Errorf("Size says %d bytes, the file has %d", n, len(want))
		}
		if fi, err := os.Stat(path); err != nil || fi.Mode() != 0o400 {
			t.Errorf("mode %v, %v", fi.Mode(), err)
		}
	}
}

// Many contents, appended by several goroutines, are found where their bytes are; others are not found.
func TestFind(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 100, 20_000} {
		path := filepath.Join(t.TempDir(), "pack")
		w, err := pack.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for g := range 4 {
			all.Go(func() {
				for i := g; i < n; i += 4 {
					data := fmt.Sprint("content ", i)
					if err := w.Append(hashOf(data), []byte(data)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		name, err := w.Finish()
		if err != nil {
			t.Fatal(err)
		}
		p := open(t, path)
		if err := p.VerifyTable(); err != nil || p.Name() != name || p.Len() != n {
			t.Errorf("%d contents: %v, name %s, want %s, %d entries", n, err, p.Name(), name, p.Len())
		}
		for i := range n {
			want := fmt.Sprint("content ", i)
			off, size, ok := p.Find(hashOf(want))
			got := make([]byte, size)
			if _, err := p.File().ReadAt(got, off); !ok || err != nil || string(got) != want {
				t.Fatalf("content %d of %d: %q, %v, %v", i, n, got, ok, err)
			}
		}
		for i := range 1000 {
			if _, _, ok := p.Find(hashOf(fmt.Sprint("other ", i))); ok {
				t.Errorf("found what was never appended")
			}
		}
		var last tarindex.Hash
		count := 0
		for e := range p.All() {
			data, err := io.ReadAll(p.Section(e))
			if err != nil || hashOf(string(data)) != e.Hash || count > 0 && bytes.Compare(last[:], e.Hash[:]) >= 0 {
				t.Fatalf("entry %d: %q, %v", count, data, err)
			}
			last, count = e.Hash, count+1
		}
		if count != n {
			t.Errorf("All yields %d of %d", count, n)
		}
	}
}

// Hashes that are not uniform are found, too.
func TestFindSkewed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pack")
	w, err := pack.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var hashes []tarindex.Hash
	for i := range 1000 {
		var h tarindex.Hash
		if i%2 == 0 {
			h[0] = 0xff
			binary.BigEndian.PutUint64(h[8:], uint64(i))
		} else {
			binary.BigEndian.PutUint64(h[24-i%17:], uint64(i)<<(i%40)) // some of them with equal keys
		}
		h[31] = byte(i)
		h[30] = byte(i >> 8)
		hashes = append(hashes, h)
		if err := w.Append(h, []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	p := open(t, path)
	for i, h := range hashes {
		off, size, ok := p.Find(h)
		if got, err := io.ReadAll(p.Section(pack.Entry{Off: off, Size: size})); !ok || err != nil || string(got) != fmt.Sprint(i) {
			t.Errorf("content %d: %q, %v, %v", i, got, ok, err)
		}
	}
	if _, _, ok := p.Find(tarindex.Hash{1}); ok {
		t.Error("found what is not there")
	}
}

// Every flip of a bit outside of the contents is found, and every truncation.
func TestDamage(t *testing.T) {
	whole := byHand("one", "two", "three")
	path := filepath.Join(t.TempDir(), "pack")
	try := func(b []byte) error {
		if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, b, 0o600)); err != nil {
			t.Fatal(err)
		}
		p, err := pack.Open(path)
		if err != nil {
			return err
		}
		defer p.Close()
		return p.VerifyTable()
	}
	if err := try(whole); err != nil {
		t.Fatal(err)
	}
	contents := len("onetwothree")
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 1 << (i % 8)
		if err := try(b); errors.Is(err, pack.ErrCorrupt) != (i < 16 || i >= 16+contents) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		if err := try(whole[:i]); !errors.Is(err, pack.ErrCorrupt) {
			t.Errorf("cut off at %d: %v", i, err)
		}
	}
	if err := try(append(whole, 0)); !errors.Is(err, pack.ErrCorrupt) {
		t.Errorf("one byte more: %v", err)
	}
	if _, err := pack.Open(t.TempDir()); !errors.Is(err, pack.ErrCorrupt) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := pack.Open(path + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestWriterRefusesAndAborts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pack")
	w, err := pack.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pack.Create(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("a file that is there: %v", err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Abort: %v", err)
	}
	// A content that is there twice makes a pack that nobody accepts.
	path, _ = write(t, "same", "same")
	if err := open(t, path).VerifyTable(); !errors.Is(err, pack.ErrCorrupt) {
		t.Errorf("a content twice: %v", err)
	}
}

// FuzzOpen: whatever the bytes, nothing is found outside of the part that holds contents, and nothing panics.
func FuzzOpen(f *testing.F) {
	f.Add([]byte{})
	f.Add(byHand())
	f.Add(byHand("one"))
	many := byHand("one", "two", "three", "", "five")
	f.Add(many)
	for _, at := range []int{20, len(many) - 64, len(many) - 56, len(many) - 100, len(many) - 72} {
		b := bytes.Clone(many)
		b[at] = 0xff
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "pack")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := pack.Open(path)
		if err != nil {
			if !errors.Is(err, pack.ErrCorrupt) {
				t.Errorf("%v", err)
			}
			return
		}
		defer p.Close()
		end := int64(len(b)) - 64 - int64(p.Len())*48
		verified := p.VerifyTable() == nil
		wanted := []tarindex.Hash{hashOf("one"), {}, tarindex.Hash(bytes.Repeat([]byte{0xff}, 32))}
		count := 0
		for e := range p.All() {
			if e.Off < 16 || e.Size < 0 || e.Off+e.Size > end {
				t.Errorf("content at %d of %d bytes, in a pack whose contents end at %d", e.Off, e.Size, end)
			}
			wanted = append(wanted, e.Hash)
			count++
		}
		if verified && count != p.Len() {
			t.Errorf("a table that is right has %d entries, and All yields %d", p.Len(), count)
		}
		for i, h := range wanted {
			off, size, ok := p.Find(h)
			if ok && (off < 16 || size < 0 || off+size > end) {
				t.Errorf("found at %d: %d bytes, and the contents end at %d", off, size, end)
			}
			if verified && i >= 3 && !ok {
				t.Errorf("%s is in a table that is right and is not found", h)
			}
		}
	})
}

func BenchmarkFind(b *testing.B) {
	path := filepath.Join(b.TempDir(), "pack")
	w, err := pack.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	hashes := make([]tarindex.Hash, 26_000)
	for i := range hashes {
		hashes[i] = hashOf(fmt.Sprint(i))
		if err := w.Append(hashes[i], nil); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := w.Finish(); err != nil {
		b.Fatal(err)
	}
	p := open(b, path)
	r := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		if _, _, ok := p.Find(hashes[r.IntN(len(hashes))]); !ok {
			b.Fatal("not found")
		}
	}
}
