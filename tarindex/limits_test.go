package tarindex

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

func scanWith(data []byte, l Limits) (*Layer, error) {
	return Scan(context.Background(), bytes.NewReader(data), newMemory(), io.Discard, ScanOptions{Limits: l})
}

// Each limit refuses what is one more than it allows, says its name and value and where, and takes what is just allowed.
func TestLimitNames(t *testing.T) {
	sparse := tarOf(ent{name: "f", body: "x", pax: []string{"GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=1000000", "GNU.sparse.numblocks=1", "GNU.sparse.map=0,1"}})
	// 512 of the extended header's header, its body of 1000 bytes in two blocks, and 512 of the file's.
	extended := tarOf(ent{name: "f", pax: []string{"comment=" + repeat("c", 1000-len("1000 comment=\n"))}})
	for _, tc := range []struct {
		limit string
		data  []byte
		max   int64 // the greatest that is exceeded
		where string
	}{
		{"entries", tarOf(file("a", ""), file("b", ""), file("c", "")), 2, `entry 3, "c"`},
		{"entries", tarOf(file("a/b/c/d", "")), 3, `entry 1, "a/b/c/d"`},
		{"names", tarOf(file("abc", ""), symlink("s", "defg"), file(".wh.hi", "")), 9, `entry 3, ".wh.hi"`},
		{"path", tarOf(file("abc", "")), 2, `entry 1, "abc"`},
		{"path", tarOf(symlink("s", "abc")), 2, `entry 1, "s"`},
		{"depth", tarOf(file("a/b/c/d", "")), 2, `entry 1, "a/b/c/d"`},
		{"links", tarOf(symlink("l", "a/b"), file("l/c/d", "")), 3, `entry 2, "l/c/d"`},
		{"header", extended, 2047, "after entry 0"},
		{"sparse", sparse, 999_999, `entry 1, "f"`},
		{"size", tarOf(file("a", "")), 1535, "1535 bytes"},
	} {
		t.Run(fmt.Sprint(tc.limit, " ", tc.where), func(t *testing.T) {
			k := AllLimits[slices.IndexFunc(AllLimits, func(k Limit) bool { return k.Name == tc.limit })]
			var l Limits
			*k.In(&l) = tc.max
			_, err := scanWith(tc.data, l)
			var exceeded *LimitError
			if !errors.As(err, &exceeded) || !errors.Is(err, ErrLimit) || exceeded.Limit != tc.limit || exceeded.Max != tc.max {
				t.Fatalf("%v", err)
			}
			if !strings.Contains(err.Error(), tc.where) || !strings.Contains(err.Error(), fmt.Sprint(tc.max)) {
				t.Errorf("%q does not say %q and %d", err, tc.where, tc.max)
			}
			*k.In(&l)++
			if _, err := scanWith(tc.data, l); err != nil {
				t.Errorf("one more: %v", err)
			}
		})
	}
}

// Payloads of entries that are no files do not count as headers.
func TestHeaderLimitIsOfHeaders(t *testing.T) {
	long := repeat("x\x00", 100_000)
	for _, e := range []ent{{typ: 'D', name: "d/", body: long}, {typ: 'V', name: "v", body: long}, {typ: 'N', name: "n", body: long}, file("f", long)} {
		if _, err := scanWith(tarOf(e, file("g", "")), Limits{Header: 2048}); err != nil {
			t.Errorf("%q: %v", e.typ, err)
		}
	}
	chain := bytes.Repeat(ent{typ: 'x', name: "x", body: paxRecord("comment=c")}.bytes(), 10_000)
	if _, err := scanWith(append(chain, tarOf(file("f", ""))...), Limits{}); !errors.Is(err, ErrLimit) {
		t.Errorf("a chain of 10,000 extended headers: %v", err)
	}
}

// Inputs on which a careless reader works much longer than they are long. What is counted are steps, not seconds.
func TestSlowStreams(t *testing.T) {
	// 39 links, each of them through 30 directories, lead to the next.
	var ladder []ent
	way := repeat("d/../", 15)
	for i := range 39 {
		ladder = append(ladder, symlink(fmt.Sprint("l", i), fmt.Sprintf("%sl%d", way, i+1)))
	}
	ladder = append(ladder, dir("d/"), symlink("l39", "d"))
	for i := range 2000 {
		ladder = append(ladder, file(fmt.Sprintf("l0/%d", i), ""))
	}
	_, err := scanWith(tarOf(ladder...), Limits{Depth: 10_000, Links: 1_000_000})
	var exceeded *LimitError
	if !errors.As(err, &exceeded) || exceeded.Limit != "links" {
		t.Errorf("a ladder of links: %v", err)
	}

	// A chain of forward hard links is followed once, not once for each link.
	const n = 20_000
	var chain []ent
	for i := range n {
		chain = append(chain, hardlink(fmt.Sprint("h", i), fmt.Sprint("h", i+1)))
	}
	chain = append(chain, file(fmt.Sprint("h", n), "the end"))
	l, err := scanWith(tarOf(chain...), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := l.WriteIndex(&out); err != nil {
		t.Fatal(err)
	}
	x, err := Parse(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	i, ok := x.Lookup(Root, "h0")
	if !ok || x.Attr(i).Nlink != n+1 {
		t.Errorf("h0 has %d names, want %d", x.Attr(i).Nlink, n+1)
	}
}

// A tree that forgets what was replaced is the tree that never had it, and does not grow with the stream.
func TestCompact(t *testing.T) {
	var all []ent
	final := map[string]bool{}
	for i := range 30 {
		for k := range 2000 {
			all = append(all, file(fmt.Sprintf("d/%d/%d", i, k), ""), file(fmt.Sprintf("d/.wh.%d-%d", i, k), ""))
		}
		all = append(all, file("d", ""), file(fmt.Sprint("kept", i), "x"), hardlink(fmt.Sprint("link", i), fmt.Sprint("kept", i)),
			hardlink(fmt.Sprint("later", i), fmt.Sprint("kept", i+1)), file(fmt.Sprint("e/.wh.w", i), ""), symlink(fmt.Sprint("s", i), "e"), dir(fmt.Sprintf("e/%d", i)))
	}
	all = append(all, file("d/last", "x"), file("kept30", "y")) // d is a file by now
	for i := range 30 {
		for _, name := range []string{"kept", "link", "later", "s"} {
			final[fmt.Sprint(name, i)] = true
		}
	}
	l, err := scanWith(tarOf(all...), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(l.tree.nodes); n > 2*wasteMin {
		t.Errorf("%d nodes for a tree of 200", n)
	}
	if n := len(l.tree.hidden); n > 2*wasteMin {
		t.Errorf("%d whiteouts for a tree of 30", n)
	}
	x := verifiedIndex(t, l)
	for name := range final {
		if _, ok := x.Lookup(Root, name); !ok {
			t.Errorf("%s is lost", name)
		}
	}
	if got := x.Children(Root); got != len(final)+3 { // and d, e, kept30
		t.Errorf("%d names in the root, want %d", got, len(final)+3)
	}
	for i := range 29 {
		a, _ := x.Lookup(Root, fmt.Sprint("later", i))
		b, _ := x.Lookup(Root, fmt.Sprint("kept", i+1))
		if a != b {
			t.Errorf("later%d and kept%d are two files", i, i+1)
		}
	}
	e, _ := x.Lookup(Root, "e")
	if got := len(slices.Collect(x.Whiteouts(e))); got != 30 {
		t.Errorf("%d whiteouts in e, want 30", got)
	}
	if got := x.Children(e); got != 30 {
		t.Errorf("%d directories in e, want 30", got)
	}
}

// Dictionaries of every block and stream of an xz file are bounded, not only the first one.
func TestXzDictionaries(t *testing.T) {
	data := tarOf(file("f", repeat("x", 3<<20)))
	small := runFilter(t, data[:1<<20], "xz", "--lzma2=preset=0,dict=64KiB")
	big := runFilter(t, data[1<<20:], "xz", "--lzma2=preset=0,dict=2MiB")
	both := append(bytes.Clone(small), big...)
	var exceeded *LimitError
	if _, err := scanWith(both, Limits{Window: 1 << 20}); !errors.As(err, &exceeded) || exceeded.Limit != "window" {
		t.Errorf("the second stream: %v", err)
	}
	if l, err := scanWith(both, Limits{Window: 2 << 20}); err != nil || l.DiffID != diffIDOf(data) {
		t.Errorf("%v, %v", l, err)
	}
	blocks := runFilter(t, data, "xz", "--block-size=100000", "--lzma2=preset=0,dict=64KiB")
	if l, err := scanWith(blocks, Limits{Window: 64 << 10}); err != nil || l.DiffID != diffIDOf(data) {
		t.Errorf("several blocks: %v, %v", l, err)
	}
}
