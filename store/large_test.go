package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/layerfs/layerfs/store"
)

// body is a large content; bodies of one length differ in the bytes that edits name.
func body(edits ...int) string {
	b := []byte(strings.Repeat("0123456789abcde\n", 60_000))
	for _, at := range edits {
		b[at] = '!'
	}
	return string(b)
}

// Contents of one length that differ somewhere, or not at all, are told apart whatever the pool has of them already.
func TestSameLength(t *testing.T) {
	end := len(body()) - 1
	all := []string{
		body(), body(0), body(end), body(end / 2), body(300_000), body(300_000, end), body(256<<10 - 1), body(256 << 10),
		strings.Repeat("\x00", end+1), body()[:end] + "\x00", strings.Repeat("\x00", end) + "x",
	}
	for i, first := range all {
		s := newStore(t)
		register(t, s, "", layerTar("a="+first, "b="+all[(i+3)%len(all)]))
		for j, second := range all {
			tar := layerTar(fmt.Sprint("new-", j, "=", second), "again="+second, "x="+second[:j+1])
			c := register(t, openStore(t, s.Root()), "", tar)
			wantTar(t, s, c.ID, tar)
			image(t, s, fmt.Sprintf("i:%d", j), c.ID)
		}
		for sum, paths := range pooled(t, s) {
			if len(paths) != 1 {
				t.Errorf("content %s is in %q", sum, paths)
			}
		}
	}
}

// A large content that the pool has is not written again, not even to find that out.
func TestLargeNotWritten(t *testing.T) {
	s := newStore(t)
	known := strings.Repeat(body(), 16)
	register(t, s, "", layerTar("a="+known))
	tar := layerTar("other name="+known, "new=new")
	before := written(t)
	c := register(t, openStore(t, s.Root()), "", tar)
	if n := written(t) - before; n > int64(len(known)/10) {
		t.Errorf("%d bytes written; the content of %d was there", n, len(known))
	}
	image(t, s, "x:1", c.ID)
	wantTar(t, s, c.ID, tar)
}

// written is what this process has given the kernel to write so far.
func written(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip(err)
	}
	_, after, _ := strings.Cut(string(b), "wchar: ")
	line, _, _ := strings.Cut(after, "\n")
	n, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return n
}

// What happened to large contents in the pool is put right when they come in again: other bytes of the same length, cut
// off, missing, or those of another content.
func TestLargeHealed(t *testing.T) {
	a, b := body(), body(300_000)
	for what, damage := range map[string]func(s *store.Store) error{
		"first byte":    func(s *store.Store) error { return flip(contentFile(s, a), 0) },
		"in the middle": func(s *store.Store) error { return flip(contentFile(s, a), len(a)/2) },
		"last byte":     func(s *store.Store) error { return flip(contentFile(s, a), len(a)-1) },
		"cut off":       func(s *store.Store) error { return truncate(contentFile(s, a), 300_000) },
		"missing":       func(s *store.Store) error { return os.Remove(contentFile(s, a)) },
		"exchanged": func(s *store.Store) error {
			return errors.Join(os.Rename(contentFile(s, a), contentFile(s, a)+"0"), os.Rename(contentFile(s, b), contentFile(s, a)),
				os.Rename(contentFile(s, a)+"0", contentFile(s, b)))
		},
	} {
		s := newStore(t)
		old := layerTar("a="+a, "b="+b)
		c := register(t, s, "", old)
		image(t, s, "old:1", c.ID)
		if err := damage(s); err != nil {
			t.Fatal(err)
		}
		if len(problems(t, s)) == 0 {
			t.Fatalf("%s: check finds nothing", what)
		}
		s = openStore(t, s.Root())
		register(t, s, "", layerTar("other="+a, "and="+b))
		for _, p := range problems(t, s) {
			t.Errorf("%s: %v", what, p)
		}
		for _, data := range []string{a, b} {
			if got, err := os.ReadFile(contentFile(s, data)); err != nil || !bytes.Equal(got, []byte(data)) {
				t.Errorf("%s: other bytes, %v", what, err)
			}
		}
		wantTar(t, s, c.ID, old)
	}
}
