package tarindex

import (
	"fmt"
	"strconv"
	"strings"
)

// A sparseFile is a file with holes: its payload is the regions one after the
// other, which is what all the formats have in common.
type sparseFile struct {
	real    int64
	regions [][2]int64 // offset and length
	payload string
}

var sparseFormats = []string{"PAX 0.0", "PAX 0.1", "PAX 1.0", "GNU S"}

// ent writes the file "f" in one of the formats.
func (s sparseFile) ent(format string) ent {
	count := fmt.Sprint(len(s.regions))
	switch format {
	case "PAX 0.0":
		records := []string{fmt.Sprint("GNU.sparse.size=", s.real), "GNU.sparse.numblocks=" + count}
		for _, r := range s.regions {
			records = append(records, fmt.Sprint("GNU.sparse.offset=", r[0]), fmt.Sprint("GNU.sparse.numbytes=", r[1]))
		}
		return ent{name: "f", body: s.payload, pax: records}
	case "PAX 0.1":
		return ent{name: "GNUSparseFile.0/f", body: s.payload, pax: []string{
			fmt.Sprint("GNU.sparse.size=", s.real), "GNU.sparse.numblocks=" + count, "GNU.sparse.name=f", "GNU.sparse.map=" + s.list(",")}}
	case "PAX 1.0":
		m := count + "\n"
		if len(s.regions) > 0 {
			m += s.list("\n") + "\n"
		}
		m += repeat("\x00", (512-len(m)%512)%512)
		return ent{name: "GNUSparseFile.0/f", body: m + s.payload, pax: []string{
			"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=f", fmt.Sprint("GNU.sparse.realsize=", s.real)}}
	}
	return s.oldGNU()
}

func (s sparseFile) list(sep string) string {
	var numbers []string
	for _, r := range s.regions {
		numbers = append(numbers, strconv.FormatInt(r[0], 10), strconv.FormatInt(r[1], 10))
	}
	return strings.Join(numbers, sep)
}

// oldGNU has four regions in the header, and 21 in every block that follows it.
func (s sparseFile) oldGNU() ent {
	left := s.regions
	fill := func(table []byte, room int) (more bool) {
		for ; room > 0 && len(left) > 0; room-- {
			octal(table[:12], left[0][0])
			octal(table[12:24], left[0][1])
			table, left = table[24:], left[1:]
		}
		return len(left) > 0
	}
	header := make([]byte, 512)
	if fill(header[386:], 4) {
		header[482] = 1
	}
	octal(header[483:495], s.real)
	var extended []byte
	for len(left) > 0 {
		block := make([]byte, 512)
		if fill(block, 21) {
			block[504] = 1
		}
		extended = append(extended, block...)
	}
	return ent{typ: 'S', name: "f", body: string(extended) + s.payload, size: int64(len(s.payload)), format: "gnu",
		raw: func(h []byte) { copy(h[386:495], header[386:495]) }}
}

// Sparse files in all formats: what GNU tar writes, and odd maps.
func sparseCases() []exactCase {
	type regions = [][2]int64
	many := sparseFile{real: 1024*30 - 512, payload: repeat("d", 512*30)}
	for i := range int64(30) {
		many.regions = append(many.regions, [2]int64{i * 1024, 512})
	}
	a, b := repeat("a", 512), repeat("b", 512)
	const cutOff = "Too much data: Truncating file at 600 bytes"
	beyond := map[string]map[string]string{
		"PAX 0.0": peers("gnu", "makes a file of 1,024 bytes", "bsd", cutOff),
		"PAX 0.1": peers("gnu", "makes a file of 1,024 bytes", "bsd", cutOff),
		"PAX 1.0": peers("gnu", "makes a file of 1,024 bytes", "bsd", cutOff),
		"GNU S":   peers("gnu", "invalid sparse archive member", "bsd", cutOff),
	}
	var cases []exactCase
	for _, format := range sparseFormats {
		at := 1024 // of the header
		if format == "GNU S" {
			at = 0
		}
		senseless := fmt.Sprintf(`entry 1, "f", has a sparse map or a number that makes no sense in its header at byte %d; it is left out`, at)
		misfit := func(how string) string {
			return fmt.Sprintf(`entry 1, "f", has a payload that does not fit its sparse map (archive/tar: sparse file %s), in its header at byte %d; it is left out`, how, at)
		}
		for _, tc := range []struct {
			name   string
			file   sparseFile
			text   string
			out    string // the warning, if it is left out
			differ map[string]string
		}{
			{name: "holes before and after", file: sparseFile{2048, regions{{512, 512}, {2048, 0}}, a}, text: "\x00...2048"},
			{name: "no hole", file: sparseFile{512, regions{{0, 512}}, a}, text: "a...512"},
			{name: "zero-length region at the end", file: sparseFile{2048, regions{{0, 512}, {2048, 0}}, a}, text: "a...2048"},
			{name: "nothing but a hole", file: sparseFile{2048, regions{{2048, 0}}, ""}, text: "\x00...2048"},
			{name: "empty file", file: sparseFile{0, regions{{0, 0}}, ""}},
			{name: "many regions", file: many, text: "d...30208"},
			{name: "hole at the end without a region", file: sparseFile{2048, regions{{512, 512}}, a}, text: "\x00...2048", differ: peers("gnu", "the file ends with its last region")},
			{name: "regions of odd bytes", file: sparseFile{30, regions{{3, 2}, {20, 4}}, "aabbbb"}, text: "\x00\x00\x00aa" + repeat("\x00", 15) + "bbbb" + repeat("\x00", 6), differ: peers("gnu", "reads a block for every region: Skipping to next header")},
			{name: "regions out of order", file: sparseFile{2048, regions{{1024, 512}, {0, 512}}, a + b}, out: senseless, differ: peers("gnu", "makes a file of 1,536 bytes", "bsd", "makes a file of 2,048 bytes")},
			{name: "regions that overlap", file: sparseFile{1024, regions{{0, 512}, {256, 512}}, a + b}, out: senseless, differ: peers("gnu", "makes a file of 768 bytes", "bsd", "makes a file of 1,024 bytes")},
			{name: "region beyond the real size", file: sparseFile{600, regions{{512, 512}}, a}, out: senseless, differ: beyond[format]},
			{name: "payload shorter than the map", file: sparseFile{2048, regions{{0, 1024}}, a}, out: misfit("references non-existent data"), differ: peers("gnu", "Skipping to next header", "bsd", "takes zeros for what is not there")},
			{name: "payload longer than the map", file: sparseFile{2048, regions{{0, 512}}, a + b}, out: misfit("contains unreferenced data"), differ: peers("gnu", "passes over the rest", "bsd", "passes over the rest")},
			{name: "negative region", file: sparseFile{2048, regions{{-512, 512}}, a}, out: senseless, differ: peers("gnu bsd", "the map is malformed")},
			{name: "negative real size", file: sparseFile{-5, regions{{0, 0}}, ""}, out: senseless, differ: peers("gnu", "the size is out of range", "bsd", "makes an empty file")},
		} {
			if c, rest, ok := strings.Cut(tc.text, "..."); ok {
				tc.text = repeat(c, 20) + "..." + rest
			}
			c := exactCase{name: format + " " + tc.name, data: tarOf(tc.file.ent(format), file("g", "1")), tree: lines("f="+tc.text, "g=1"), differ: tc.differ}
			if tc.out != "" {
				c.tree, c.warn = lines("g=1"), lines(tc.out)
			}
			cases = append(cases, c)
		}
	}
	const unknown = "claims to be sparse, but not in a form that is known; its bytes are shown as they are stored"
	empty := sparseFile{2048, nil, ""}
	one := sparseFile{2048, regions{{512, 512}, {2048, 0}}, a}
	return append(cases,
		exactCase{name: "the same sparse file twice", data: tarOf(one.ent("GNU S"), one.ent("PAX 1.0"), one.ent("PAX 0.1")), tree: lines("f=" + repeat("\x00", 20) + "...2048")},
		exactCase{name: "hard link to a sparse file", data: tarOf(one.ent("GNU S"), hardlink("l", "f")), tree: lines("f="+repeat("\x00", 20)+"...2048 #2", "l="+repeat("\x00", 20)+"...2048 #2")},
		exactCase{name: "unknown version", data: tarOf(ent{name: "f", body: "1", pax: []string{"GNU.sparse.major=2", "GNU.sparse.minor=0"}}, file("g", "1")), tree: lines("f=1", "g=1"),
			warn: lines(`entry 1, "f", ` + unknown), differ: peers("gnu", "f: numeric overflow in sparse archive member", "bsd", "Unrecognized GNU sparse file format")},
		exactCase{name: "S in a ustar header", data: tarOf(ent{typ: 'S', name: "f", body: "1"}, file("g", "1")),
			tree: lines("f=1", "g=1")},
		exactCase{name: "PAX 0.0 empty map", data: tarOf(empty.ent("PAX 0.0"), file("g", "1")), tree: lines("f=", "g=1"),
			warn: lines(`entry 1, "f", ` + unknown), differ: peers("gnu", "takes the next header for the file", "bsd", "makes a file of 2,048 bytes")},
		exactCase{name: "PAX 0.1 empty map", data: tarOf(empty.ent("PAX 0.1"), file("g", "1")), tree: lines("GNUSparseFile.0/", "GNUSparseFile.0/f=", "g=1"),
			warn: lines(`entry 1, "GNUSparseFile.0/f", ` + unknown), differ: peers("gnu", "Malformed extended header: invalid GNU.sparse.map=", "bsd", "makes a file of 2,048 bytes")},
		exactCase{name: "PAX 1.0 empty map", data: tarOf(empty.ent("PAX 1.0"), file("g", "1")), tree: lines("f="+repeat("\x00", 20)+"...2048", "g=1"),
			differ: peers("gnu", "makes an empty file")},
		exactCase{name: "GNU S empty map", data: tarOf(empty.ent("GNU S"), file("g", "1")), tree: lines("f="+repeat("\x00", 20)+"...2048", "g=1"),
			differ: peers("gnu", "makes an empty file")},
	)
}
