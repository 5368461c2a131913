package tarindex

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// Hand-made tar blocks: what no tar program writes can be written with them.
// They share nothing with the code under test.

// A ent is one entry of a hand-made tar.
type ent struct {
	typ        byte // 0 stands for '0'; use nul for the old NUL flag
	name, link string
	body       string
	mode       int64 // 0 stands for 0644
	uid, gid   int64
	mtime      int64
	size       int64 // if not 0, what the header says instead of len(body)
	major      int64
	minor      int64
	pax        []string // "key=value", written as a PAX header before
	format     string   // "" ustar, "gnu", "v7", "star"
	raw        func(header []byte)
	noPadding  bool
	signedSum  bool // as writers on machines with a signed char did it
}

const nul = 0xff // stands for type flag NUL

func (e ent) bytes() []byte {
	var out []byte
	if len(e.pax) > 0 {
		var recs string
		for _, kv := range e.pax {
			recs += paxRecord(kv)
		}
		out = append(out, ent{typ: 'x', name: "PaxHeaders/x", body: recs}.bytes()...)
	}
	b := make([]byte, 512)
	copy(b[0:100], e.name)
	mode := e.mode
	if mode == 0 {
		mode = 0o644
	}
	octal(b[100:108], mode)
	octal(b[108:116], e.uid)
	octal(b[116:124], e.gid)
	size := int64(len(e.body))
	if e.size != 0 {
		size = e.size
	}
	octal(b[124:136], size)
	octal(b[136:148], e.mtime)
	switch e.typ {
	case 0:
		b[156] = '0'
	case nul:
		b[156] = 0
	default:
		b[156] = e.typ
	}
	copy(b[157:257], e.link)
	switch e.format {
	case "":
		copy(b[257:], "ustar\x0000")
	case "gnu":
		copy(b[257:], "ustar  \x00")
	case "star":
		copy(b[257:], "ustar\x0000")
		copy(b[508:], "tar\x00")
	}
	if e.format != "v7" && (e.typ == '3' || e.typ == '4') {
		octal(b[329:337], e.major)
		octal(b[337:345], e.minor)
	}
	if e.raw != nil {
		e.raw(b)
	}
	checksum(b)
	if e.signedSum {
		sum := 0
		for i, c := range b {
			if i < 148 || i >= 156 {
				sum += int(int8(c))
			}
		}
		copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum+8*' '))
	}
	out = append(out, b...)
	out = append(out, e.body...)
	if !e.noPadding {
		out = append(out, make([]byte, (512-len(e.body)%512)%512)...)
	}
	return out
}

func octal(field []byte, v int64) {
	if v < 0 || v >= 1<<(3*(len(field)-1)) { // base 256
		for i := len(field) - 1; i >= 0; i-- {
			field[i] = byte(v)
			v >>= 8
		}
		field[0] |= 0x80
		return
	}
	copy(field, fmt.Sprintf("%0*o\x00", len(field)-1, v))
}

func checksum(header []byte) {
	copy(header[148:156], "        ")
	sum := 0
	for _, c := range header {
		sum += int(c)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

func paxRecord(kv string) string {
	n := len(kv) + 3
	for len(fmt.Sprintf("%d %s\n", n, kv)) != n {
		n++
	}
	return fmt.Sprintf("%d %s\n", n, kv)
}

// tarOf is a whole tar with two blocks of zeros at its end.
func tarOf(entries ...ent) []byte {
	return append(blocksOf(entries...), make([]byte, 1024)...)
}

func blocksOf(entries ...ent) []byte {
	var out []byte
	for _, e := range entries {
		out = append(out, e.bytes()...)
	}
	return out
}

func dir(name string) ent        { return ent{typ: '5', name: name, mode: 0o755} }
func file(name, body string) ent { return ent{name: name, body: body} }
func symlink(name, to string) ent {
	return ent{typ: '2', name: name, link: to, mode: 0o777}
}
func hardlink(name, to string) ent { return ent{typ: '1', name: name, link: to} }

// gnuLong is the GNU way to write a name (L) or link target (K) of any length.
func gnuLong(typ byte, name string) ent {
	return ent{typ: typ, name: "././@LongLink", body: name + "\x00", format: "gnu"}
}

// list shows a tree: one line for every name, in the order of a depth-first
// walk. open gives contents.
func list(x *Index, open func(Hash) string) []string {
	var lines []string
	var walk func(d Ino, path string)
	walk = func(d Ino, path string) {
		for k := range x.Children(d) {
			name, i := x.Child(d, k)
			a := x.Attr(i)
			line := path + name
			switch a.Mode & ModeType {
			case ModeDir:
				line += "/"
			case ModeSymlink:
				line += " -> " + x.Readlink(i)
			case ModeRegular:
				line += "=" + contentOf(x, i, open)
			case ModeChar:
				line += fmt.Sprintf(" char %d:%d", a.Major, a.Minor)
			case ModeBlock:
				line += fmt.Sprintf(" block %d:%d", a.Major, a.Minor)
			case ModeFIFO:
				line += " fifo"
			}
			if a.Nlink > 1 && !a.IsDir() {
				line += fmt.Sprintf(" #%d", a.Nlink)
			}
			lines = append(lines, line)
			if a.IsDir() {
				walk(i, path+name+"/")
			}
		}
	}
	walk(Root, "")
	return lines
}

func contentOf(x *Index, i Ino, open func(Hash) string) string {
	h, ok := x.Content(i)
	if !ok {
		return ""
	}
	return open(h)
}

func (m *memory) text(h Hash) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.contents[h]
	if !ok {
		return "MISSING " + h.String()
	}
	return shorten(data)
}

func shorten(data []byte) string {
	if len(data) > 40 {
		return fmt.Sprintf("%.20s...%d", data, len(data))
	}
	return string(data)
}

func sameLines(got []string, want ...string) string {
	if slices.Equal(got, want) {
		return ""
	}
	return fmt.Sprintf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
}

// reseal puts the right checksum into a changed index.
func reseal(data []byte) []byte {
	s := sum(data)
	copy(data[sumOffset:], s[:])
	return data
}

var le = binary.LittleEndian

func repeat(s string, n int) string { return string(bytes.Repeat([]byte(s), n)) }

// sameSet is sameLines without the order.
func sameSet(got, want []string) string {
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	return sameLines(got, want...)
}
