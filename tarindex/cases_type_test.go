package tarindex

import "bytes"

// All type flags.
func typeCases() []exactCase {
	f := file("f", "1")
	return []exactCase{
		{name: "0", data: tarOf(file("a", "1")), tree: lines("a=1")},
		{name: "NUL", data: tarOf(ent{typ: nul, name: "a", body: "1"}), tree: lines("a=1")},
		{name: "NUL with a trailing slash", data: tarOf(ent{typ: nul, name: "d/"}), tree: lines("d/")},
		{name: "0 with a trailing slash", data: tarOf(ent{name: "d/"}, f), tree: lines("d/", "f=1")},
		{name: "7, contiguous", data: tarOf(ent{typ: '7', name: "a", body: "1"}), tree: lines("a=1")},
		{name: "6, FIFO", data: tarOf(ent{typ: '6', name: "p"}), tree: lines("p fifo")},
		{name: "5, directory", data: tarOf(dir("d"), dir("e/")), tree: lines("d/", "e/")},
		{name: "2 with a trailing slash", data: tarOf(symlink("s/", "t"), f), tree: lines("f=1", "s -> t")},
		{name: "unknown, a letter", data: tarOf(ent{typ: 'z', name: "a", body: "1"}, f), tree: lines("a=1", "f=1")},
		{name: "unknown, a vendor's", data: tarOf(ent{typ: 'Q', name: "a", body: "1"}, f), tree: lines("a=1", "f=1")},
		{name: "unknown, reserved 8", data: tarOf(ent{typ: '8', name: "a", body: "1"}, f), tree: lines("a=1", "f=1")},
		{name: "A, Solaris ACL", data: tarOf(ent{typ: 'A', name: "acl", body: "list"}, f), tree: lines("acl=list", "f=1"), differ: peers("bsd", "Malformed Solaris ACL attribute (invalid digit)")},
		{name: "X, the PAX header of old Solaris", data: tarOf(ent{typ: 'X', name: "p", body: paxRecord("path=n")}, f), tree: lines("f=1"), warn: lines(`entry 1, "p", is of type 'X', which is no file; it is left out`), differ: peers("gnu bsd", "extracts n=1")},
		{name: "D, GNU incremental", data: tarOf(ent{typ: 'D', name: "d/", body: "Yf\x00\x00", mode: 0o755, format: "gnu"}, file("d/f", "1")), tree: lines("d/", "d/f=1")},
		{name: "V, volume label", data: tarOf(ent{typ: 'V', name: "volume", format: "gnu"}, f), tree: lines("f=1"), warn: lines(`entry 1, "volume", is of type 'V', which is no file; it is left out`)},
		{name: "V with a size", data: tarOf(ent{typ: 'V', name: "volume", body: "label", format: "gnu"}, f), tree: lines("f=1"), warn: lines(`entry 1, "volume", is of type 'V', which is no file; it is left out`), differ: peers("bsd", "Damaged tar archive")},
		{name: "M, continued file", data: tarOf(ent{typ: 'M', name: "m", body: "rest", format: "gnu"}, f), tree: lines("f=1"), warn: lines(`entry 1, "m", is of type 'M', which is no file; it is left out`), differ: peers("gnu", "m: Cannot extract -- file is continued from another volume", "bsd", "extracts f=1 m=rest")},
		{name: "N, old long names", data: tarOf(ent{typ: 'N', name: "n", body: "Rename a to b\n", format: "gnu"}, f), tree: lines("f=1"), warn: lines(`entry 1, "n", is of type 'N', which is no file; it is left out`), differ: peers("gnu bsd", "extracts f=1 n=Rename a to b")},
		{name: "x, PAX header", data: tarOf(ent{name: "cut", body: "1", pax: []string{"path=n"}}), tree: lines("n=1")},
		{name: "x twice, the last counts alone", data: tarOf(ent{typ: 'x', name: "p", body: paxRecord("path=n")}, ent{name: "cut", body: "1", pax: []string{"comment=c"}}), tree: lines("cut=1"), differ: peers("bsd", "Ignoring malformed pax extended attribute")},
		{name: "g, PAX global header", data: tarOf(ent{typ: 'g', name: "g", body: paxRecord("comment=1")}, f), tree: lines("f=1")},
		{name: "L and x for one entry", data: tarOf(gnuLong('L', "gnu"), ent{name: "cut", body: "1", pax: []string{"path=pax"}}), tree: lines("gnu=1"), differ: peers("gnu", "extracts pax=1")},
	}
}

// PAX records, of one entry and global ones.
func paxCases() []exactCase {
	f := file("f", "1")
	global := func(records ...string) ent {
		var body string
		for _, r := range records {
			body += paxRecord(r)
		}
		return ent{typ: 'g', name: "pax_global_header", body: body}
	}
	with := func(records ...string) []byte { return tarOf(ent{name: "a", body: "1", pax: records}, f) }
	body := func(records string) []byte {
		return tarOf(ent{typ: 'x', name: "PaxHeaders/a", body: records}, file("a", "1"), f)
	}
	af := lines("a=1", "f=1")
	return []exactCase{
		{name: "several global headers", data: tarOf(global("comment=1"), f, global("comment=2"), file("g", "2")), tree: lines("f=1", "g=2")},
		{name: "global header with path", data: tarOf(global("path=everything"), f), tree: lines("f=1"), differ: peers("gnu", "extracts everything=1")},
		{name: "global header with linkpath", data: tarOf(global("linkpath=there"), symlink("s", "t")), tree: lines("s -> t"), differ: peers("gnu", "extracts s -> there")},
		{name: "global header with size", data: tarOf(global("size=0"), f), tree: lines("f=1"), differ: peers("gnu", "Skipping to next header")},
		{name: "global header with mtime", data: tarOf(global("mtime=12345.5", "uid=7"), f), tree: lines("f=1")},
		{name: "global header at the end", data: tarOf(f, global("comment=last")), tree: lines("f=1")},
		{name: "size over that of the header", data: tarOf(ent{name: "a", body: "12345", size: 1, pax: []string{"size=5"}}, f), tree: lines("a=12345", "f=1")},
		{name: "size under that of the header", data: tarOf(ent{name: "a", body: "12345", size: 5000, pax: []string{"size=5"}}, f), tree: lines("a=12345", "f=1")},
		{name: "size on a directory", data: tarOf(ent{typ: '5', name: "d", mode: 0o755, pax: []string{"size=5"}}, f), tree: lines("d/", "f=1"), differ: peers("bsd", "extracts d/")},
		{name: "record given twice", data: with("path=b", "path=a"), tree: af},
		{name: "empty value keeps the header's", data: with("path=", "uid="), tree: af, differ: peers("gnu", "Malformed extended header: invalid uid=")},
		{name: "unknown key", data: with("VENDOR.key=value", "comment=c"), tree: af},
		{name: "NUL in a value", data: with("VENDOR.key=a\x00b", "SCHILY.xattr.user.x=\x00\x01"), tree: af},
		{name: "= in a value", data: with("path=a=b"), tree: lines("a=b=1", "f=1")},
		{name: "newline in a value", data: with("path=a\nb"), tree: lines("a\nb=1", "f=1")},
		{name: "NUL in path", data: with("path=a\x00b"), tree: lines("f=1"), warn: lines(`entry 1, "a\x00b", has an extended header that makes no sense at byte 0; it is left out`), differ: peers("gnu bsd", "extracts a=1 f=1")},
		{name: "NUL in linkpath", data: tarOf(ent{typ: '2', name: "s", pax: []string{"linkpath=a\x00b"}}, f), tree: lines("f=1"), warn: lines(`entry 1, "s", has an extended header that makes no sense at byte 0; it is left out`), differ: peers("gnu", "extracts f=1 s -> a", "bsd", "extracts f=1 s=")},
		{name: "NUL in uname", data: with("uname=a\x00b"), tree: lines("f=1"), warn: lines(`entry 1, "a", has an extended header that makes no sense at byte 0; it is left out`), differ: peers("gnu bsd", "extracts a=1 f=1")},
		{name: "NUL in a key", data: with("VENDOR\x00key=v"), tree: lines("f=1"), warn: lines(`entry 1, "a", has an extended header that makes no sense at byte 0; it is left out`), differ: peers("gnu", "Malformed extended header: missing equal sign", "bsd", "Invalid pax extended attributes")},
		{name: "no =", data: body("13 nothing12\n"), tree: lines("f=1"), warn: lines(`entry 1, "a", has an extended header that makes no sense at byte 0; it is left out`), differ: peers("gnu", "Malformed extended header: missing equal sign", "bsd", "Invalid pax extended attributes")},
		{name: "empty key", data: body("9 =value\n"), tree: lines("f=1"), warn: lines(`entry 1, "a", has an extended header that makes no sense at byte 0; it is left out`), differ: peers("gnu", "extracts a=1 f=1", "bsd", "fails without a word")},
		{name: "length too long", data: body("99 path=b\n"), tree: lines("f=1"), warn: lines(`entry 1, "a", has an extended header that makes no sense at byte 0; it is left out`), differ: peers("gnu", "Extended header length 99 path=b", "bsd", "Ignoring malformed pax extended attribute")},
		{name: "length too short", data: body("7 path=b\n"), tree: lines("f=1"), warn: lines(`entry 1, "a", has an extended header that makes no sense at byte 0; it is left out`), differ: peers("gnu", "Malformed extended header: missing newline", "bsd", "Ignoring malformed pax extended attribute")},
		{name: "length no number", data: body("xx path=b\n"), tree: lines("f=1"), warn: lines(`entry 1, "a", has an extended header that makes no sense at byte 0; it is left out`), differ: peers("gnu", "Malformed extended header: missing length", "bsd", "Ignoring malformed pax extended attributes")},
		{name: "length negative", data: body("-9 path=b\n"), tree: lines("f=1"), warn: lines(`entry 1, "a", has an extended header that makes no sense at byte 0; it is left out`), differ: peers("gnu", "Malformed extended header: missing length", "bsd", "Ignoring malformed pax extended attributes")},
		{name: "length without end", data: body(repeat("9", 40)), tree: lines("f=1"), warn: lines(`entry 1, "a", has an extended header that makes no sense at byte 0; it is left out`), differ: peers("gnu", "Extended header length 9999999999999999999999999999999999999999 is out of range", "bsd", "Rejecting pax extended attribute > 1MB")},
		{name: "length with zeros before", data: body("000000000000000000000028 path=b\n"), tree: lines("f=1"), warn: lines(`entry 1, "a", has an extended header that makes no sense at byte 0; it is left out`), differ: peers("gnu", "Malformed extended header: missing equal sign", "bsd", "Ignoring malformed pax extended attribute")},
		{name: "header without records", data: body(""), tree: af},
		{name: "zeros after the records", data: tarOf(ent{typ: 'x', name: "p", body: paxRecord("path=b") + repeat("\x00", 20)}, file("a", "1"), f), tree: lines("b=1", "f=1"), differ: peers("bsd", "Ignoring malformed pax extended attributes")},
		{name: "size is no number", data: with("size=many"), refused: `not a tar archive: entry 1, "a", at byte 1024: its size makes no sense`, kind: ErrNotTar, differ: peers("bsd", "extracts a= f=1")},
		{name: "mtime is no number", data: with("mtime=now"), tree: lines("f=1"), warn: lines(`entry 1, "a", has a number that makes no sense in its header at byte 1024; it is left out`), differ: peers("bsd", "extracts a=1 f=1", "gnu", "Malformed extended header: invalid mtime=now")},
		{name: "uid is no number", data: with("uid=root"), tree: lines("f=1"), warn: lines(`entry 1, "a", has a number that makes no sense in its header at byte 1024; it is left out`), differ: peers("bsd", "extracts a=1 f=1", "gnu", "Malformed extended header: invalid uid=root")},
		{name: "global mtime is no number", data: tarOf(global("mtime=now"), f), tree: lines("f=1"), warn: lines(`entry 1, "pax_global_header", has an extended header that makes no sense at byte 0; it is left out`), differ: peers("gnu", "Malformed extended header: invalid mtime=now")},
		{name: "xattr of 300 bytes of name", data: with("SCHILY.xattr.user." + repeat("n", 300) + "=v"), tree: af, warn: lines("entry 1, \"a\", has the extended attribute \"user." + repeat("n", 295) + "\" of 1 bytes, which Linux cannot hold; it is left out")},
		{name: "xattr with = in its name", data: with("SCHILY.xattr.user.a=b=c"), tree: af},
		{name: "xattr of libarchive and of Solaris", data: with("LIBARCHIVE.xattr.user.a=dg", "SCHILY.acl.access=user::rw-"), tree: af},
	}
}

// All formats.
func formatCases() []exactCase {
	prefixed := func(format, prefix string) ent {
		return ent{name: "f", body: "1", format: format, raw: func(h []byte) { copy(h[345:], prefix) }}
	}
	starTimes := ent{name: "f", body: "1", format: "star", raw: func(h []byte) {
		copy(h[345:476], repeat("p", 130))
		copy(h[476:500], "07346545000 10142055400 ")
	}}
	starLonger := starTimes
	starLonger.raw = func(h []byte) { starTimes.raw(h); h[475] = 'p' }
	return []exactCase{
		{name: "v7", data: tarOf(ent{name: "f", body: "1", format: "v7"}, ent{typ: '1', name: "l", link: "f", format: "v7"}), tree: lines("f=1 #2", "l=1 #2")},
		{name: "v7 directory", data: tarOf(ent{typ: nul, name: "d/", format: "v7"}), tree: lines("d/")},
		{name: "v7 with junk where ustar has its fields", data: tarOf(ent{name: "f", body: "1", format: "v7", raw: func(h []byte) { copy(h[300:], "left over") }}), tree: lines("f=1")},
		{name: "ustar", data: tarOf(file("f", "1")), tree: lines("f=1")},
		{name: "ustar with a prefix", data: tarOf(prefixed("", "d/e")), tree: lines("d/", "d/e/", "d/e/f=1")},
		{name: "ustar with the longest prefix", data: tarOf(prefixed("", repeat("p", 155))), tree: lines(repeat("p", 155)+"/", repeat("p", 155)+"/f=1")},
		{name: "ustar with the version of nobody", data: tarOf(ent{name: "f", body: "1", raw: func(h []byte) { copy(h[263:], "99") }}), tree: lines("f=1")},
		{name: "GNU", data: tarOf(ent{name: "f", body: "1", format: "gnu"}), tree: lines("f=1")},
		{name: "GNU with atime and ctime", data: tarOf(ent{name: "f", body: "1", format: "gnu", raw: func(h []byte) { octal(h[345:357], 1_000_000_000); octal(h[357:369], 1_100_000_000) }}), tree: lines("f=1")},
		{name: "GNU with a prefix, as old Go wrote it", data: tarOf(prefixed("gnu", "d/e")), tree: lines("d/", "d/e/", "d/e/f=1"), differ: peers("gnu bsd", "extracts f=1")},
		{name: "star", data: tarOf(ent{name: "f", body: "1", format: "star"}), tree: lines("f=1")},
		{name: "star with a prefix and times", data: tarOf(starTimes), tree: lines(repeat("p", 130)+"/", repeat("p", 130)+"/f=1")},
		{name: "star with a prefix of 131 bytes and times", data: tarOf(starLonger), tree: lines(repeat("p", 131)+"/", repeat("p", 131)+"/f=1"), differ: peers("gnu bsd", "extracts p...07346545000 10142055400 / p...07346545000 10142055400 /f=1")},
		{name: "PAX", data: tarOf(ent{name: "cut", body: "1", pax: []string{"path=f", "mtime=1.5"}}), tree: lines("f=1")},
		{name: "all in one", data: tarOf(ent{name: "v7", body: "1", format: "v7"}, file("ustar", "2"), ent{name: "gnu", body: "3", format: "gnu"}, ent{name: "cut", body: "4", pax: []string{"path=pax"}}), tree: lines("gnu=3", "pax=4", "ustar=2", "v7=1")},
		{name: "checksum of signed bytes", data: tarOf(ent{name: "\xe9", body: "1", signedSum: true}), tree: lines("\xe9=1")},
	}
}

// What is hardly a tar.
func garbledCases() []exactCase {
	wrong := tarOf(file("f", "x"))
	wrong[0] ^= 1
	good := tarOf(file("f", repeat("x", 2000)), file("g", repeat("y", 300_000)))
	return []exactCase{
		{name: "text", data: []byte(repeat("no tar at all\n", 100)), refused: "not a tar archive: it does not begin with a valid header", kind: ErrNotTar},
		{name: "short text", data: []byte("no tar"), refused: "not a tar archive: it does not begin with a valid header: unexpected EOF", kind: ErrNotTar},
		{name: "zeros and junk", data: append(make([]byte, 512), repeat("junk", 500)...), refused: "not a tar archive: it does not begin with a valid header", kind: ErrNotTar, differ: peers("gnu bsd", "extracts nothing")},
		{name: "wrong checksum", data: wrong, refused: "not a tar archive: it does not begin with a valid header", kind: ErrNotTar},
		{name: "junk in the middle", data: append(blocksOf(file("f", "x")), repeat("junk", 500)...), refused: "not a tar archive: no valid header at byte 1024, after entry 1", kind: ErrNotTar},
		{name: "ends in a header", data: blocksOf(file("f", ""), file("g", ""))[:700], refused: "truncated: the stream ends at byte 700, in the middle of entry 2", kind: ErrTruncated, differ: peers("gnu", "extracts f=")},
		{name: "ends in a file", data: good[:1000], refused: `entry 1, "f": truncated: the stream ends at byte 1000, 1512 bytes before the end of a file`, kind: ErrTruncated},
		{name: "ends in a big file", data: good[:20_000], refused: `entry 2, "g": truncated: the stream ends at byte 20000, 283072 bytes before the end of a file`, kind: ErrTruncated},
		{name: "ends in a PAX header", data: ent{name: "f", pax: []string{"comment=" + repeat("c", 2000)}}.bytes()[:1000], refused: "truncated: the stream ends at byte 1000, in the middle of entry 1", kind: ErrTruncated},
		{name: "ends in a GNU long name", data: bytes.Clone(gnuLong('L', repeat("n", 2000)).bytes()[:1000]), refused: "truncated: the stream ends at byte 1000, in the middle of entry 1", kind: ErrTruncated},
	}
}
