package tarindex

import "testing"

// Numbers in all their forms. The trees say only that the files are there;
// TestNumbers says what they mean.
func numberCases() []exactCase {
	var cases []exactCase
	for _, n := range numbers() {
		tree := lines("f=", "g=1")
		if n.out {
			tree = tree[1:]
		}
		cases = append(cases, exactCase{name: n.name, data: n.data(), tree: tree, warn: n.warn, refused: n.refused, kind: ErrNotTar, differ: n.differ})
	}
	return cases
}

// A number is an entry "f" with an odd number in it.
type number struct {
	name    string
	ent     ent
	want    Attr // of f
	out     bool // f is left out
	warn    []string
	refused string
	differ  map[string]string
}

func (n number) data() []byte {
	e := n.ent
	e.name = "f"
	return tarOf(e, file("g", "1"))
}

// field writes raw bytes into a field of the header.
func field(off int, s string) func([]byte) {
	return func(h []byte) { copy(h[off:], s) }
}

const (
	modeAt, uidAt, gidAt, sizeAt, mtimeAt, majorAt, minorAt = 100, 108, 116, 124, 136, 329, 337
)

func numbers() []number {
	attr := func(change func(*Attr)) Attr {
		a := Attr{Mode: ModeRegular | 0o644, Nlink: 1}
		if change != nil {
			change(&a)
		}
		return a
	}
	mtime := func(sec int64, nsec uint32) Attr {
		return attr(func(a *Attr) { a.Mtime = Time{Sec: sec, Nsec: nsec} })
	}
	uid := func(id uint32) Attr { return attr(func(a *Attr) { a.UID = id }) }
	gid := func(id uint32) Attr { return attr(func(a *Attr) { a.GID = id }) }
	pax := func(r string) ent { return ent{pax: []string{r}} }
	return []number{
		{name: "uid of base 256, above 2^31", ent: ent{uid: 3_000_000_000}, want: uid(3_000_000_000)},
		{name: "gid of base 256, above 2^31", ent: ent{gid: 3_000_000_000}, want: gid(3_000_000_000)},
		{name: "uid of 2^31-1", ent: ent{uid: 1<<31 - 1}, want: uid(1<<31 - 1)},
		{name: "uid of 2^32-2, the last", ent: ent{uid: 1<<32 - 2}, want: uid(1<<32 - 2)},
		{name: "uid of 2^32-1", ent: ent{uid: 1<<32 - 1}, want: uid(65534), warn: lines(`entry 1, "f", has the uid 4294967295, which Linux does not have; 65534 stands for it`)},
		{name: "uid of 2^40", ent: ent{uid: 1 << 40}, want: uid(65534), warn: lines(`entry 1, "f", has the uid 1099511627776, which Linux does not have; 65534 stands for it`), differ: peers("gnu", "Archive value 1099511627776 is out of uid_t range 0..4294967295")},
		{name: "uid negative", ent: ent{uid: -1}, want: uid(65534), warn: lines(`entry 1, "f", has the uid -1, which Linux does not have; 65534 stands for it`), differ: peers("gnu", "Archive value -1 is out of uid_t range 0..4294967295")},
		{name: "gid negative", ent: ent{gid: -2}, want: gid(65534), warn: lines(`entry 1, "f", has the gid -2, which Linux does not have; 65534 stands for it`), differ: peers("gnu", "Archive value -2 is out of gid_t range 0..4294967295")},
		{name: "PAX uid above 2^31", ent: pax("uid=3000000000"), want: uid(3_000_000_000)},
		{name: "PAX gid above 2^32", ent: pax("gid=99999999999"), want: gid(65534), warn: lines(`entry 1, "f", has the gid 99999999999, which Linux does not have; 65534 stands for it`), differ: peers("gnu", "Extended header gid=99999999999 is out of range 0..4294967295")},
		{name: "PAX uid negative", ent: pax("uid=-7"), want: uid(65534), warn: lines(`entry 1, "f", has the uid -7, which Linux does not have; 65534 stands for it`), differ: peers("gnu", "Extended header uid=-7 is out of range 0..4294967295")},
		{name: "PAX uid over 64 bits", ent: pax("uid=99999999999999999999999"), out: true, warn: lines(`entry 1, "f", has a number that makes no sense in its header at byte 1024; it is left out`), differ: peers("bsd", "extracts f= g=1", "gnu", "Extended header uid=99999999999999999999999 is out of range 0..4294967295")},
		{name: "mode of base 256", ent: ent{raw: field(modeAt, "\x80\x00\x00\x00\x00\x00\x09\xed")}, want: attr(func(a *Attr) { a.Mode = ModeRegular | 0o4755 })},
		{name: "mode with the file type's bits", ent: ent{raw: field(modeAt, "0100755\x00")}, want: attr(func(a *Attr) { a.Mode = ModeRegular | 0o755 })},
		{name: "mode negative", ent: ent{raw: field(modeAt, repeat("\xff", 8))}, want: attr(func(a *Attr) { a.Mode = ModeRegular | 0o7777 })},
		{name: "size of base 256", ent: ent{raw: field(sizeAt, "\x80"+repeat("\x00", 11))}, want: attr(nil)},
		{name: "size negative", ent: ent{raw: field(sizeAt, repeat("\xff", 12))}, refused: `not a tar archive: entry 1, "f", at byte 0: its size makes no sense`},
		{name: "size over 64 bits", ent: ent{raw: field(sizeAt, "\x80"+repeat("\x7f", 11))}, refused: `not a tar archive: entry 1, "f", at byte 0: its size makes no sense`},
		{name: "PAX size negative", ent: pax("size=-1"), refused: `not a tar archive: entry 1, "f", at byte 1024: its size makes no sense`},
		{name: "mtime of base 256, beyond 2^33", ent: ent{mtime: 1 << 40}, want: mtime(1<<40, 0)},
		{name: "mtime of octal, its last", ent: ent{mtime: 1<<33 - 1}, want: mtime(1<<33-1, 0)},
		{name: "mtime negative", ent: ent{mtime: -5}, want: mtime(-5, 0)},
		{name: "mtime negative, long ago", ent: ent{mtime: -(1 << 40)}, want: mtime(-(1 << 40), 0)},
		{name: "mtime over 64 bits", ent: ent{raw: field(mtimeAt, "\x80"+repeat("\x7f", 11))}, out: true, warn: lines(`entry 1, "f", has a number that makes no sense in its header at byte 0; it is left out`), differ: peers("bsd", "extracts f= g=1", "gnu", "Archive base-256 value is out of time_t range")},
		{name: "PAX mtime with nanoseconds", ent: pax("mtime=123.123456789"), want: mtime(123, 123456789)},
		{name: "PAX mtime with more digits", ent: pax("mtime=123.123456789999"), want: mtime(123, 123456789)},
		{name: "PAX mtime with few digits", ent: pax("mtime=123.5"), want: mtime(123, 500_000_000)},
		{name: "PAX mtime negative", ent: pax("mtime=-1.25"), want: mtime(-2, 750_000_000)},
		{name: "PAX mtime between -1 and 0", ent: pax("mtime=-0.25"), want: mtime(-1, 750_000_000)},
		{name: "PAX mtime beyond 2^33", ent: pax("mtime=20000000000.75"), want: mtime(20_000_000_000, 750_000_000)},
		{name: "PAX atime and ctime", ent: ent{mtime: 3, pax: []string{"atime=1.5", "ctime=2.5"}}, want: mtime(3, 0)},
		{name: "fields of spaces", ent: ent{raw: func(h []byte) {
			field(modeAt, "   644 \x00")(h)
			field(uidAt, "     7 \x00")(h)
			field(gidAt, "        ")(h)
			field(mtimeAt, "          5 ")(h)
		}}, want: attr(func(a *Attr) { a.UID, a.Mtime = 7, Time{Sec: 5} }), differ: peers("gnu", "Blanks in header where numeric gid_t value expected")},
		{name: "fields of NULs", ent: ent{raw: func(h []byte) {
			for _, at := range []int{uidAt, gidAt} {
				field(at, repeat("\x00", 8))(h)
			}
			field(mtimeAt, repeat("\x00", 12))(h)
		}}, want: attr(nil)},
		{name: "fields without an end", ent: ent{raw: func(h []byte) {
			field(uidAt, "00000007")(h)
			field(mtimeAt, "000000000005")(h)
		}}, want: attr(func(a *Attr) { a.UID, a.Mtime = 7, Time{Sec: 5} })},
		{name: "field of no digits", ent: ent{raw: field(uidAt, "root\x00")}, out: true, warn: lines(`entry 1, "f", has a number that makes no sense in its header at byte 0; it is left out`), differ: peers("gnu", "Archive contains letters where numeric uid_t value expected", "bsd", "Error opening archive: Unrecognized archive format")},
		{name: "size of no digits", ent: ent{raw: field(sizeAt, "many\x00")}, refused: `not a tar archive: entry 1, "f", at byte 0: its size makes no sense`},
		{name: "device numbers in a regular file", ent: ent{raw: field(majorAt, "7777777\x007777777\x00")}, want: attr(nil)},
	}
}

// Numbers mean what they say.
func TestNumbers(t *testing.T) {
	for _, n := range numbers() {
		if n.refused != "" || n.out {
			continue
		}
		t.Run(n.name, func(t *testing.T) {
			s := roundTrip(t, n.data())
			x := mergeLayers(t, s.index)
			f, ok := x.Lookup(Root, "f")
			if got := x.Attr(f); !ok || got != n.want {
				t.Errorf("got %+v, want %+v", got, n.want)
			}
		})
	}
}

// Devices cannot be made by everybody, so no other program's word is asked for.
func TestDeviceNumbers(t *testing.T) {
	for _, tc := range []struct {
		name string
		ent  ent
		want string
		warn []string
	}{
		{name: "octal", ent: ent{typ: '3', major: 1, minor: 3}, want: "f char 1:3"},
		{name: "of base 256", ent: ent{typ: '4', major: 1 << 21, minor: 1<<32 - 1}, want: "f block 2097152:4294967295"},
		{name: "negative", ent: ent{typ: '3', major: -1, minor: 3}, warn: lines(`entry 1, "f", is a device with the impossible numbers -1:3; it is left out`)},
		{name: "over 32 bits", ent: ent{typ: '3', major: 1, minor: 1 << 32}, warn: lines(`entry 1, "f", is a device with the impossible numbers 1:4294967296; it is left out`)},
		{name: "v7, which has none", ent: ent{typ: '3', format: "v7"}, want: "f char 0:0"},
		{name: "with a size", ent: ent{typ: '3', major: 1, minor: 3, size: 99}, want: "f char 1:3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.ent.name = "f"
			s := roundTrip(t, tarOf(tc.ent, file("g", "1")))
			want := lines(tc.want, "g=1")
			if tc.want == "" {
				want = want[1:]
			}
			if diff := sameLines(list(mergeLayers(t, s.index), s.sink.text), want...); diff != "" {
				t.Error(diff)
			}
			if diff := sameLines(s.Warnings, tc.warn...); diff != "" {
				t.Errorf("warnings: %s", diff)
			}
		})
	}
}
