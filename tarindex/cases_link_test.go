package tarindex

// Links, and what is reached through them. What needs a lower layer is in
// meaning_test.go.
func linkCases() []exactCase {
	return []exactCase{
		{name: "hard link", data: tarOf(file("f", "1"), hardlink("l", "f")), tree: lines("f=1 #2", "l=1 #2")},
		{name: "forward hard link", data: tarOf(hardlink("l", "f"), file("f", "1")), tree: lines("f=1 #2", "l=1 #2"), differ: peers("gnu", "l: Cannot hard link to 'f': No such file or directory", "bsd", "l: Hard-link target 'f' does not exist.: No such file or directory")},
		{name: "hard link to a symbolic link", data: tarOf(symlink("s", "f"), hardlink("l", "s"), file("f", "1")), tree: lines("f=1", "l -> f #2", "s -> f #2")},
		{name: "hard link to an absolute path", data: tarOf(file("d/f", "1"), hardlink("l", "/d/f")), tree: lines("d/", "d/f=1 #2", "l=1 #2")},
		{name: "hard link to a path of a lower layer", data: tarOf(hardlink("l", "lower/f"), file("f", "1")), tree: lines("f=1"), differ: peers("gnu", "l: Cannot hard link to 'lower/f': No such file or directory", "bsd", "l: Hard-link target 'lower/f' does not exist.: No such file or directory")},
		{name: "hard link, then whiteout of its target", data: tarOf(file("f", "1"), hardlink("l", "f"), file(".wh.f", "")), tree: lines("f=1 #2", "l=1 #2"), differ: peers("gnu bsd", "extracts .wh.f= f=1 #2 l=1 #2")},
		{name: "hard link to a directory", data: tarOf(dir("d"), hardlink("l", "d"), file("f", "1")), tree: lines("d/", "f=1"), warn: lines(`entry 2, "l", is a hard link to a directory; it is left out`), differ: peers("gnu", "l: Cannot hard link to 'd': Operation not permitted", "bsd", "l: Can't create 'l': Operation not permitted")},
		{name: "hard link to itself", data: tarOf(file("f", "1"), hardlink("f", "f")), tree: lines("f=1"), differ: peers("bsd", "f: Skipping hardlink pointing to itself: f")},
		{name: "hard link to the root", data: tarOf(hardlink("l", "/"), file("f", "1")), tree: lines("f=1"), warn: lines(`entry 1, "l", is a hard link to a directory; it is left out`), differ: peers("gnu", "l: Cannot hard link to '.': Operation not permitted")},
		{name: "hard link with ..", data: tarOf(hardlink("l", "../f"), file("f", "1")), tree: lines("f=1"), warn: lines(`entry 1, "l", is a hard link to "../f", which has a component ".."; it is left out`), differ: peers("gnu", "l: Cannot hard link to 'f': No such file or directory", "bsd", "l: Path contains '..'")},
		{name: "hard link without a target", data: tarOf(hardlink("l", ""), file("f", "1")), tree: lines("f=1"), warn: lines(`entry 1, "l", is a hard link to a directory; it is left out`), differ: peers("gnu", "Substituting `.' for empty hard link target", "bsd", "extracts f=1 l=")},
		{name: "hard link keeps what is replaced", data: tarOf(file("n", "1"), hardlink("m", "n"), file("n", "2")), tree: lines("m=1", "n=2")},
		{name: "file through a relative link", data: tarOf(dir("d"), symlink("s", "d"), file("s/f", "1")), tree: lines("d/", "d/f=1", "s -> d"), differ: peers("bsd", "s/f: Cannot extract through symlink s/f")},
		{name: "file through an absolute link", data: tarOf(dir("d"), symlink("s", "/d"), file("s/f", "1")), tree: lines("d/", "d/f=1", "s -> /d"), differ: peers("gnu", "s/f: Cannot open: Not a directory", "bsd", "s/f: Cannot extract through symlink s/f")},
		{name: "file through an escaping link", data: tarOf(symlink("s", "../../d"), file("s/f", "1")), tree: lines("d/", "d/f=1", "s -> ../../d"), differ: peers("gnu", "s/f: Cannot open: Not a directory", "bsd", "s/f: Cannot extract through symlink s/f")},
		{name: "file through a circle of links", data: tarOf(symlink("r", "s"), symlink("s", "r"), file("s/f", "1"), file("f", "1")), tree: lines("f=1", "r -> s", "s -> r"), warn: lines(`entry 3, "s/f", leads through too many symbolic links; it is left out`), differ: peers("gnu", "s/f: Cannot open: Too many levels of symbolic links", "bsd", "s/f: Cannot extract through symlink s/f")},
		{name: "hard link through a circle that is cut later", data: tarOf(symlink("a", "a"), hardlink("l", "a/f"), dir("a"), file("a/f", "1")), tree: lines("a/", "a/f=1 #2", "l=1 #2"), differ: peers("gnu", "l: Cannot hard link to 'a/f': Too many levels of symbolic links", "bsd", "l: Hard-link target 'a/f' does not exist.")},
		{name: "directory in place of a link", data: tarOf(dir("d"), symlink("s", "d"), dir("s"), file("s/f", "1")), tree: lines("d/", "s/", "s/f=1")},
		{name: "symbolic link to nothing", data: tarOf(symlink("s", ""), file("f", "1")), tree: lines("f=1"), warn: lines(`entry 1, "s", is a symbolic link to a path of 0 bytes, which Linux cannot hold; it is left out`), differ: peers("gnu", "s: Cannot create symlink to '': No such file or directory", "bsd", "extracts f=1 s=")},
	}
}

// Sizes where none belongs.
func sizeCases() []exactCase {
	g := file("g", "2")
	block := repeat("b", 512)
	return []exactCase{
		{name: "hard link with a size, no payload", data: tarOf(file("f", "1"), ent{typ: '1', name: "l", link: "f", size: 100}, g), tree: lines("f=1 #2", "g=2", "l=1 #2")},
		{name: "symbolic link with a size, no payload", data: tarOf(ent{typ: '2', name: "l", link: "t", size: 1000}, g), tree: lines("g=2", "l -> t")},
		{name: "directory with a size, no payload", data: tarOf(ent{typ: '5', name: "d", size: 77, mode: 0o755}, g), tree: lines("d/", "g=2")},
		{name: "FIFO with a size, no payload", data: tarOf(ent{typ: '6', name: "p", size: 77}, g), tree: lines("g=2", "p fifo")},
		{name: "hard link with a payload", data: tarOf(file("f", "1"), ent{typ: '1', name: "l", link: "f", body: block}, g), refused: "not a tar archive: no valid header at byte 1536, after entry 2", kind: ErrNotTar, differ: peers("bsd", "extracts f=1 #2 g=2 l=1 #2")},
		{name: "symbolic link with a payload", data: tarOf(ent{typ: '2', name: "l", link: "t", body: block}, g), refused: "not a tar archive: no valid header at byte 512, after entry 1", kind: ErrNotTar, differ: peers("bsd", "extracts g=2 l -> t")},
		{name: "directory with a payload", data: tarOf(ent{typ: '5', name: "d", body: block, mode: 0o755}, g), refused: "not a tar archive: no valid header at byte 512, after entry 1", kind: ErrNotTar, differ: peers("bsd", "extracts d/ g=2")},
		{name: "FIFO with a payload", data: tarOf(ent{typ: '6', name: "p", body: block}, g), refused: "not a tar archive: no valid header at byte 512, after entry 1", kind: ErrNotTar, differ: peers("bsd", "extracts g=2 p fifo")},
		{name: "global header without a size", data: tarOf(ent{typ: 'g', name: "g"}, g), tree: lines("g=2")},
		{name: "whiteout that is a link with a size", data: tarOf(ent{typ: '2', name: ".wh.x", link: "t", size: 9}, g), tree: lines("g=2"), differ: peers("gnu bsd", "extracts .wh.x -> t g=2")},
	}
}
