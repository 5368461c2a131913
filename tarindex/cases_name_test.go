package tarindex

// Names: which are the same, which are none, and how long ones are written.
func nameCases() []exactCase {
	comp255, comp256 := repeat("n", 255), repeat("n", 256)
	deep := repeat("dir12/", 200) + "f"             // 1,201 bytes
	abyss := repeat(repeat("a", 200)+"/", 25) + "f" // 5,026 bytes: more than PATH_MAX
	named := func(path, body string) ent { return ent{name: "cut", body: body, pax: []string{"path=" + path}} }
	return []exactCase{
		{name: "duplicate names", data: tarOf(file("f", "1"), file("f", "2"), file("./f", "3")), tree: lines("f=3")},
		{name: "duplicate directories, d/ and ./d/", data: tarOf(dir("d/"), file("d/f", "1"), dir("./d/"), dir("d")), tree: lines("d/", "d/f=1")},
		{name: "duplicate of another type", data: tarOf(file("f", "1"), symlink("f", "t"), file("g", "2"), dir("g"), dir("h"), file("h", "3")), tree: lines("f -> t", "g/", "h=3")},
		{name: "directory with files replaced by a file", data: tarOf(dir("d"), file("d/f", "1"), file("d", "2")), tree: lines("d=2"), differ: peers("gnu", "d: Cannot open: File exists", "bsd", "d: Can't replace existing directory with non-directory: Directory not empty")},
		{name: "child under a file", data: tarOf(file("f", "1"), file("f/g", "2"), file("h", "3")), tree: lines("f=1", "h=3"), warn: lines(`entry 2, "f/g", is below "f", which is no directory; it is left out`), differ: peers("gnu", "f/g: Cannot open: Not a directory", "bsd", "f/g: Could not stat f/g: Not a directory")},
		{name: "absolute", data: tarOf(file("/a/b", "1"), hardlink("/c", "/a/b")), tree: lines("a/", "a/b=1 #2", "c=1 #2")},
		{name: "several slashes and dots", data: tarOf(file("a//b", "1"), file("a/./c", "2"), file(".//d", "3")), tree: lines("a/", "a/b=1", "a/c=2", "d=3")},
		{name: "root as ./ and . and /", data: tarOf(dir("./"), dir("."), dir("/"), file("f", "1")), tree: lines("f=1")},
		{name: "root that is a file", data: tarOf(file(".", "1"), file("f", "1")), tree: lines("f=1"), warn: lines(`entry 1, ".", names the root, which can only be a directory; it is left out`), differ: peers("gnu", ".: Cannot open: File exists", "bsd", ".: Can't replace existing directory with non-directory: Invalid argument")},
		{name: "root that is a symbolic link", data: tarOf(symlink("/.", "etc"), file("f", "1")), tree: lines("f=1"), warn: lines(`entry 1, "/.", names the root, which can only be a directory; it is left out`), differ: peers("gnu", "Cannot create symlink to 'etc': File exists", "bsd", "Can't replace existing directory with non-directory")},
		{name: "directory of mode 0 with a child", data: tarOf(ent{typ: '5', name: "d", raw: field(modeAt, "0000000\x00")}, file("d/f", "1")), tree: lines("d/", "d/f=1")},
		{name: "empty name, a directory", data: tarOf(dir(""), file("f", "1")), tree: lines("f=1"), differ: peers("bsd", "Archive entry has empty or unreadable filename ... skipping.")},
		{name: "empty name, a file", data: tarOf(file("", "6"), file("f", "1")), tree: lines("f=1"), warn: lines(`entry 1, "", names the root, which can only be a directory; it is left out`), differ: peers("gnu", "Substituting `.' for empty member name", "bsd", "Archive entry has empty or unreadable filename ... skipping.")},
		{name: "empty name, a symbolic link", data: tarOf(symlink("", "t"), file("f", "1")), tree: lines("f=1"), warn: lines(`entry 1, "", names the root, which can only be a directory; it is left out`), differ: peers("gnu", "Substituting `.' for empty member name", "bsd", "Archive entry has empty or unreadable filename ... skipping.")},
		{name: ".. first", data: tarOf(file("../evil", "1"), file("f", "1")), tree: lines("f=1"), warn: lines(`entry 1, "../evil", has a component ".."; it is left out`), differ: peers("gnu", "../evil: Member name contains '..'", "bsd", "../evil: Path contains '..'")},
		{name: ".. within", data: tarOf(dir("a"), file("a/../b", "2"), file("f", "1")), tree: lines("a/", "f=1"), warn: lines(`entry 2, "a/../b", has a component ".."; it is left out`), differ: peers("gnu", "a/../b: Member name contains '..'", "bsd", "a/../b: Path contains '..'")},
		{name: ".. last", data: tarOf(dir("a"), dir("a/.."), dir(".."), file("f", "1")), tree: lines("a/", "f=1"), warn: lines(`entry 2, "a/..", has a component ".."; it is left out`, `entry 3, "..", has a component ".."; it is left out`), differ: peers("gnu", "a/..: Member name contains '..'", "bsd", "a/..: Path contains '..'")},
		{name: ".. in a whiteout's path", data: tarOf(file("../.wh.f", ""), file("f", "1")), tree: lines("f=1"), warn: lines(`entry 1, "../.wh.f", has a component ".."; it is left out`), differ: peers("gnu", "../.wh.f: Member name contains '..'", "bsd", "../.wh.f: Path contains '..'")},
		{name: "dots that are names", data: tarOf(file("..gitme", "1"), file("...", "2")), tree: lines("...=2", "..gitme=1")},
		{name: "component of 255 bytes", data: tarOf(named(comp255, "1")), tree: lines(comp255 + "=1")},
		{name: "component of 256 bytes", data: tarOf(named(comp256, "1"), named("d/"+comp256+"/f", "2"), file("f", "1")), tree: lines("f=1"), warn: lines("entry 1, \""+repeat("n", 256)+"\", has a component of 256 bytes, a directory holds at most 255; it is left out", "entry 2, \"d/"+repeat("n", 256)+"/f\", has a component of 256 bytes, a directory holds at most 255; it is left out"), differ: peers("gnu", "n...: Cannot open: File name too long", "bsd", "n...: Could not stat n...: File name too long")},
		{name: "PAX path over 1,000 bytes", data: tarOf(named(deep, "1")), tree: append(dirsOf(deep), deep+"=1")},
		{name: "PAX path over 4,096 bytes", data: tarOf(named(abyss, "1")), tree: append(dirsOf(abyss), abyss+"=1"), differ: peers("gnu", "a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../", "bsd", "chmod DIR file name too long")},
		{name: "PAX linkpath over 4,096 bytes", data: tarOf(ent{typ: '2', name: "s", pax: []string{"linkpath=" + abyss}}, file("f", "1")), tree: lines("f=1"), warn: lines(`entry 1, "s", is a symbolic link to a path of 5026 bytes, which Linux cannot hold; it is left out`), differ: peers("gnu", "s: Cannot create symlink to 'a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a.../a", "bsd", "extracts f=1 s=")},
		{name: "GNU L and K", data: tarOf(gnuLong('L', deep), ent{name: "cut", body: "1", format: "gnu"}, gnuLong('K', deep), ent{typ: '1', name: "l", format: "gnu"}), tree: append(dirsOf(deep), deep+"=1 #2", "l=1 #2"), differ: peers("bsd", "extracts dir12/ dir12/dir12/ dir12/dir12/dir12/ dir12/dir12/dir12/dir12/ dir12/dir12/dir12/dir12/dir12/ dir12")},
		{name: "GNU L without its NUL", data: tarOf(ent{typ: 'L', name: "././@LongLink", body: repeat("n", 120), format: "gnu"}, ent{name: "cut", body: "1", format: "gnu"}), tree: lines(repeat("n", 120) + "=1")},
		{name: "GNU L with a NUL within", data: tarOf(gnuLong('L', "a\x00b"), ent{name: "cut", body: "1", format: "gnu"}), tree: lines("a=1")},
		{name: "GNU L twice, the last counts", data: tarOf(gnuLong('L', "one"), gnuLong('L', "two"), ent{name: "cut", body: "1", format: "gnu"}), tree: lines("two=1")},
		{name: "GNU L with a size of nothing", data: tarOf(ent{typ: 'L', name: "././@LongLink", format: "gnu"}, ent{name: "cut", body: "1", format: "gnu"}), tree: lines("cut=1"), differ: peers("gnu", "Substituting `.' for empty member name", "bsd", "Archive entry has empty or unreadable filename ... skipping.")},
		{name: "NUL within a header's name", data: tarOf(file("a\x00b", "1")), tree: lines("a=1")},
		{name: "name that fills its field", data: tarOf(file(repeat("n", 100), "1"), ent{typ: '2', name: "s", link: repeat("t", 100)}), tree: lines(repeat("n", 100)+"=1", "s -> "+repeat("t", 100))},
		{name: "not UTF-8 in ustar", data: tarOf(file("\xff\xfe", "1")), tree: lines("\xff\xfe=1")},
		{name: "not UTF-8 in GNU L", data: tarOf(gnuLong('L', "\xff"+repeat("n", 150)), ent{name: "cut", body: "1", format: "gnu"}), tree: lines("\xff" + repeat("n", 150) + "=1")},
		{name: "not UTF-8 in PAX, hdrcharset=BINARY", data: tarOf(ent{name: "cut", body: "1", pax: []string{"hdrcharset=BINARY", "path=\xff\xfe"}}), tree: lines("\xff\xfe=1")},
		{name: "not UTF-8 in PAX, no hdrcharset", data: tarOf(named("\xff\xfe", "1")), tree: lines("\xff\xfe=1"), differ: peers("bsd", "Pathname can't be converted from UTF-8 to current locale.")},
		{name: "control characters", data: tarOf(file("a\nb\tc\x01\x7f\"\\", "1")), tree: lines("a\nb\tc\x01\x7f\"\\=1")},
		{name: "whiteout with content", data: tarOf(file(".wh.x", "content"), file("f", "1")), tree: lines("f=1"), differ: peers("gnu bsd", "extracts .wh.x=content f=1")},
		{name: "whiteout beside its file", data: tarOf(file("f", "1"), file(".wh.f", ""), file(".wh.g", ""), file("g", "2")), tree: lines("f=1", "g=2"), differ: peers("gnu bsd", "extracts .wh.f= .wh.g= f=1 g=2")},
		{name: "whiteouts of impossible names", data: tarOf(file(".wh.", "3"), file(".wh..", "4"), file("d/.wh...", "5"), file("f", "1")), tree: lines("f=1"), warn: lines(`entry 1, ".wh.", is a whiteout of the impossible name ""; it is left out`, `entry 2, ".wh..", is a whiteout of the impossible name "."; it is left out`, `entry 3, "d/.wh...", is a whiteout of the impossible name ".."; it is left out`), differ: peers("gnu bsd", "extracts .wh.=3 .wh..=4 d/ d/.wh...=5 f=1")},
		{name: "AUFS' own files", data: tarOf(file(".wh..wh.plnk", "7"), dir(".wh..wh.aufs"), file(".wh..wh.orph/x", "8"), file("f", "1")), tree: lines("f=1"), warn: lines(`entry 1, ".wh..wh.plnk", is a file of AUFS' own; it is left out`, `entry 2, ".wh..wh.aufs", is a file of AUFS' own; it is left out`, `entry 3, ".wh..wh.orph/x", is in a directory of AUFS' own, which is not shown`), differ: peers("gnu bsd", "extracts .wh..wh.aufs/ .wh..wh.orph/ .wh..wh.orph/x=8 .wh..wh.plnk=7 f=1")},
		{name: "hard link into AUFS' own directory", data: tarOf(file(".wh..wh.plnk/1.2", "7"), hardlink("f", ".wh..wh.plnk/1.2")), tree: lines("f=7"), warn: lines(`entry 1, ".wh..wh.plnk/1.2", is in a directory of AUFS' own, which is not shown`), differ: peers("gnu bsd", "extracts .wh..wh.plnk/ .wh..wh.plnk/1.2=7 #2 f=7 #2")},
		{name: "opaque mark", data: tarOf(dir("d"), file("d/f", "1"), file("d/.wh..wh..opq", "")), tree: lines("d/", "d/f=1"), differ: peers("gnu bsd", "extracts d/ d/.wh..wh..opq= d/f=1")},
	}
}
