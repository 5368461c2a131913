package tarindex

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// spoil makes the uid in the last header of an entry senseless.
func spoil(e ent) ent {
	raw := e.raw
	e.raw = func(h []byte) {
		if raw != nil {
			raw(h)
		}
		copy(h[uidAt:], "nobody\x00\x00")
	}
	return e
}

// An entry that is left out takes nothing else with it, whatever form its
// headers and its payload have: all that is before and after it is there.
func TestLeaveOutOneOfAll(t *testing.T) {
	long := repeat("long/", 50)
	big := repeat("0123456789abcdef", 40_000)
	sparse := func(format, name string) []ent {
		s := sparseFile{real: 1024 * 30, payload: repeat("d", 512*30)}
		for i := range int64(30) {
			s.regions = append(s.regions, [2]int64{i*1024 + 512, 512})
		}
		e := s.ent(format)
		if e.name == "f" {
			e.name = name
		}
		for i, record := range e.pax {
			if record == "GNU.sparse.name=f" {
				e.pax[i] = "GNU.sparse.name=" + name
			}
		}
		return []ent{e}
	}
	sparseLine := "=" + repeat("\x00", 20) + "...30720"
	entries := []struct {
		line string
		ents []ent
	}{
		{"empty=", []ent{file("empty", "")}},
		{"small=1", []ent{file("small", "1")}},
		{"block=" + shorten([]byte(repeat("b", 512))), []ent{file("block", repeat("b", 512))}},
		{"big=" + shorten([]byte(big)), []ent{file("big", big)}},
		{"v7=1", []ent{{name: "v7", body: "1", format: "v7"}}},
		{"gnu=1", []ent{{name: "gnu", body: "1", format: "gnu"}}},
		{"star=1", []ent{{name: "star", body: "1", format: "star"}}},
		{"base256=12345", []ent{{name: "base256", body: "12345", raw: field(sizeAt, "\x80"+repeat("\x00", 10)+"\x05")}}},
		{"dir/", []ent{dir("dir")}},
		{"old/", []ent{{typ: nul, name: "old/", size: 700}}},
		{"sized/", []ent{{typ: '5', name: "sized", mode: 0o755, size: 700}}},
		{"incremental/", []ent{{typ: 'D', name: "incremental", mode: 0o755, body: "Yx\x00\x00", format: "gnu"}}},
		{"symlink -> t", []ent{{typ: '2', name: "symlink", link: "t", size: 700}}},
		{"fifo fifo", []ent{{typ: '6', name: "fifo"}}},
		{"pax=12345", []ent{{name: "cut", body: "12345", size: 5000, pax: []string{"size=5", "path=pax"}}}},
		{"paxdir/", []ent{{typ: '5', name: "cut", pax: []string{"size=5", "path=paxdir"}}}},
		{"twice=12345", []ent{{typ: 'x', name: "x", body: paxRecord("size=9999")}, {name: "cut", body: "12345", size: 1, pax: []string{"path=twice", "size=5", "comment=" + big}}}},
		{"slash/", []ent{gnuLong('L', "slash/"), {typ: nul, name: "cut", size: 700, format: "gnu"}}},
		{long + "L=1", []ent{gnuLong('L', long+"L"), {name: "cut", body: "1", format: "gnu"}}},
		{"K -> " + long, []ent{gnuLong('K', long), {typ: '2', name: "K", format: "gnu"}}},
		{"unknown=1", []ent{{typ: 'z', name: "unknown", body: "1"}}},
		{"ustarS=1", []ent{{typ: 'S', name: "ustarS", body: "1"}}},
		{"v7S=1", []ent{{typ: 'S', name: "v7S", body: "1", format: "v7"}}},
		{"zeros=1", []ent{{typ: 'x', name: "x", body: paxRecord("path=zeros") + repeat("\x00", 1500)}, file("cut", "1")}},
		{"sparse00" + sparseLine, sparse("PAX 0.0", "sparse00")},
		{"sparse01" + sparseLine, sparse("PAX 0.1", "sparse01")},
		{"sparse10" + sparseLine, sparse("PAX 1.0", "sparse10")},
		{"sparseS" + sparseLine, sparse("GNU S", "sparseS")},
	}
	for spoiled := range entries {
		var data []byte
		var want []string
		for i, e := range entries {
			ents := slices.Clone(e.ents)
			if i == spoiled {
				ents[len(ents)-1] = spoil(ents[len(ents)-1])
			} else {
				path, _, _ := strings.Cut(e.line, "=")
				if strings.HasPrefix(path, "long") {
					want = append(want, dirsOf(path)...)
				}
				want = append(want, e.line)
			}
			data = append(data, blocksOf(ents...)...)
		}
		name, _, _ := strings.Cut(strings.ReplaceAll(entries[spoiled].line, " ", "="), "=")
		if typ := entries[spoiled].ents[0].typ; typ == '5' || typ == 'D' {
			name = strings.TrimSuffix(name, "/") // which the list has, not the header
		}
		t.Run(name[:min(len(name), 20)], func(t *testing.T) {
			for _, end := range []string{"", repeat("\x00", 512), repeat("\x00", 1024)} {
				s := roundTrip(t, append(bytes.Clone(data), end...))
				if diff := sameSet(list(mergeLayers(t, s.index), s.sink.text), want); diff != "" {
					t.Fatal(diff)
				}
				if len(s.Warnings) != 1 || !strings.HasPrefix(s.Warnings[0], fmt.Sprintf("entry %d, %q, has a", spoiled+1, name)) || !strings.HasSuffix(s.Warnings[0], "; it is left out") {
					t.Errorf("warnings: %q, want one of entry %d, %q", s.Warnings, spoiled+1, name)
				}
			}
		})
	}
}

// What surrounds an entry that is left out.
func TestLeaveOut(t *testing.T) {
	bad := spoil(file("bad", "payload"))
	badRecords := ent{typ: 'x', name: "x", body: "xx path=b\n"}
	const number = "has a number that makes no sense in its header at byte "
	const records = "has an extended header that makes no sense at byte "
	const out = "; it is left out"
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, tc := range []struct {
		name    string
		data    []byte
		tree    []string
		warn    []string
		refused string
		kind    error
	}{
		{name: "alone", data: tarOf(bad), warn: lines(`entry 1, "bad", ` + number + "0" + out)},
		{name: "several", data: tarOf(bad, bad, file("f", "1"), bad), tree: lines("f=1"), warn: lines(`entry 1, "bad", `+number+"0"+out, `entry 2, "bad", `+number+"1024"+out, `entry 4, "bad", `+number+"3072"+out)},
		{name: "a hard link to it", data: tarOf(bad, hardlink("l", "bad"), file("f", "1")), tree: lines("f=1"),
			warn: lines(`entry 1, "bad", ` + number + "0" + out)},
		{name: "an older file of its name stays", data: tarOf(file("bad", "old"), bad), tree: lines("bad=old"), warn: lines(`entry 2, "bad", ` + number + "1024" + out)},
		{name: "padding cut off", data: spoil(ent{name: "bad", body: "payload", noPadding: true}).bytes(), warn: lines(`entry 1, "bad", ` + number + "0" + out)},
		{name: "payload cut off", data: bad.bytes()[:515], refused: "truncated: the stream ends at byte 515, in the middle of entry 2", kind: ErrTruncated},
		{name: "junk after it", data: join(blocksOf(bad), []byte(repeat("junk", 200))), refused: "not a tar archive: no valid header at byte 1024, after entry 1", kind: ErrNotTar},
		{name: "lone zero block after it", data: join(blocksOf(bad), make([]byte, 512), []byte(repeat("junk", 200))),
			warn: lines(`entry 1, "bad", `+number+"0"+out, "the archive ends with a lone zero block before byte 2048")},
		{name: "records at the end of the stream", data: blocksOf(file("f", "1"), badRecords), tree: lines("f=1"), warn: lines(`entry 2, "x", ` + records + "1024" + out)},
		{name: "records and the end of the archive", data: tarOf(file("f", "1"), badRecords), tree: lines("f=1"), warn: lines(`entry 2, "x", ` + records + "1024" + out)},
		{name: "records and an end that is cut", data: join(blocksOf(badRecords), make([]byte, 100)), warn: lines(`entry 1, "x", ` + records + "0" + out)},
		{name: "records and a lone zero block", data: join(blocksOf(badRecords), make([]byte, 512), blocksOf(file("f", "1"))),
			warn: lines("the archive ends with a lone zero block before byte 2048", `entry 1, "x", `+records+"0"+out)},
		{name: "records and junk", data: join(blocksOf(badRecords), []byte(repeat("junk", 200))), refused: "not a tar archive: no valid header at byte 1024, after entry 0", kind: ErrNotTar},
		{name: "good records and a lone zero block", data: join(blocksOf(file("f", "1"), ent{typ: 'x', name: "x", body: paxRecord("path=b")}), make([]byte, 512), []byte(repeat("junk", 200))), tree: lines("f=1"),
			warn: lines("the archive ends with a lone zero block before byte 3072")},
		{name: "zeros that are a payload, then junk", data: join(blocksOf(ent{typ: 'D', name: "d", body: repeat("\x00", 512)}), []byte(repeat("junk", 200))), refused: "not a tar archive: no valid header at byte 1024, after entry 1", kind: ErrNotTar},
		{name: "a long extended header beside bad records", data: tarOf(badRecords, ent{typ: 'x', name: "x", body: paxRecord("comment=" + repeat("c", 2<<20))}, file("f", "")),
			refused: "limit exceeded: one extended header of more than 1 MiB before byte 1536, after entry 0; no option raises this", kind: ErrLimit},
		{name: "S of star, whose map is elsewhere", data: tarOf(ent{typ: 'S', name: "f", format: "star"}), refused: `not a tar archive: entry 1, "f", at byte 0: its size makes no sense`, kind: ErrNotTar},
		{name: "1.0 map longer than its payload", data: tarOf(ent{name: "f", body: "9\n0\n1\n", pax: []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=9"}}, file("g", "1")), tree: lines("g=1"),
			warn: lines(`entry 1, "f", has a sparse map or a number that makes no sense in its header at byte 1024` + out)},
		{name: "size of 2^63-1", data: tarOf(spoil(ent{name: "f", raw: field(sizeAt, "\x80\x00\x00\x00\x7f"+repeat("\xff", 7))})), refused: `not a tar archive: entry 1, "f", at byte 0: its size makes no sense`, kind: ErrNotTar},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.refused != "" {
				if _, err := scanReader(t, bytes.NewReader(tc.data)); err == nil || err.Error() != tc.refused || !errors.Is(err, tc.kind) {
					t.Errorf("got\n\t%v\nwant\n\t%s", err, tc.refused)
				}
				return
			}
			s := roundTrip(t, tc.data)
			if diff := sameSet(list(mergeLayers(t, s.index), s.sink.text), tc.tree); diff != "" {
				t.Error(diff)
			}
			if diff := sameLines(s.Warnings, tc.warn...); diff != "" {
				t.Errorf("warnings: %s", diff)
			}
		})
	}
}

// A sparse file that turns out not to fit after some of it has been handed on
// leaves no content, and the next ones have theirs.
func TestLeaveOutDropsContent(t *testing.T) {
	big := repeat("0123456789abcdef", 100_000)
	for _, format := range sparseFormats {
		long := sparseFile{real: 3 << 20, regions: [][2]int64{{0, 2 << 20}}, payload: repeat("x", 2<<20) + repeat("y", 512)}
		short := sparseFile{real: 3 << 20, regions: [][2]int64{{0, 2 << 20}}, payload: repeat("x", 1<<20)}
		s := roundTrip(t, tarOf(file("a", big), long.ent(format), file("b", big+"b"), short.ent(format), file("c", "c")))
		if diff := sameSet(list(mergeLayers(t, s.index), s.sink.text), lines("a="+shorten([]byte(big)), "b="+shorten([]byte(big+"b")), "c=c")); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
		if len(s.Warnings) != 2 || len(s.sink.contents) != 3 {
			t.Errorf("%s: %d contents, warnings %q", format, len(s.sink.contents), s.Warnings)
		}
	}
}

// Whatever is left out is counted at least.
func TestLeaveOutMany(t *testing.T) {
	var all []ent
	for i := range 250 {
		all = append(all, spoil(file(fmt.Sprint(i), "")))
	}
	l, err := scanWith(tarOf(all...), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if w := l.Warnings; len(w) != 101 || w[100] != "and 150 more" || l.Entries != 250 {
		t.Errorf("%d entries, %d warnings, the last %q", l.Entries, len(w), w[len(w)-1])
	}
	if _, err := scanWith(tarOf(all...), Limits{Entries: 249}); !errors.Is(err, ErrLimit) {
		t.Errorf("more entries than are allowed: %v", err)
	}
}
