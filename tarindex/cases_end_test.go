package tarindex

import "bytes"

// Where an archive ends: padding, blocking, what follows.
func endCases() []exactCase {
	f := file("f", "x")
	zeros := func(n int) []byte { return make([]byte, n) }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	big := repeat("0123456789abcdef", 40_000) // 640,000 bytes: more than one block
	return []exactCase{
		{name: "zero-byte stream", differ: peers("gnu", "This does not look like a tar archive")},
		{name: "1024 NULs, the well-known empty layer", data: zeros(1024)},
		{name: "empty tar, blocking factor 20", data: zeros(10240)},
		{name: "one block of zeros only", data: zeros(512)},
		{name: "missing end of archive", data: blocksOf(f), tree: lines("f=x")},
		{name: "short end: one block", data: join(blocksOf(f), zeros(512)), tree: lines("f=x")},
		{name: "short end: less than a block", data: join(blocksOf(f), zeros(100)), tree: lines("f=x"), differ: peers("bsd", "Truncated tar archive")},
		{name: "short end: one block and a part", data: join(blocksOf(f), zeros(700)), tree: lines("f=x")},
		{name: "long end: two blocks and a part", data: join(tarOf(f), zeros(100)), tree: lines("f=x")},
		{name: "long end: 1 MiB of zeros", data: join(tarOf(f), zeros(1<<20)), tree: lines("f=x")},
		{name: "blocking factor 20", data: join(blocksOf(f), zeros(10240-1024)), tree: lines("f=x")},
		{name: "lone zero block, then junk", data: join(blocksOf(f), zeros(512), []byte(repeat("junk", 300))), tree: lines("f=x"), warn: lines("the archive ends with a lone zero block before byte 2048")},
		{name: "lone zero block, then an entry", data: join(blocksOf(f), zeros(512), tarOf(file("g", "y"))), tree: lines("f=x"), warn: lines("the archive ends with a lone zero block before byte 2048")},
		{name: "data after the end", data: join(tarOf(f), []byte(repeat("junk!", 70_000))), tree: lines("f=x")},
		{name: "one byte after the end", data: join(tarOf(f), []byte("j")), tree: lines("f=x")},
		{name: "concatenated tars (cat)", data: join(tarOf(f), tarOf(file("g", "y"))), tree: lines("f=x")},
		{name: "padding is cut off", data: ent{name: "f", body: "x", noPadding: true}.bytes(), tree: lines("f=x"), differ: peers("gnu", "Unexpected EOF in archive", "bsd", "f: Truncated input file (needed 511 bytes, only 0 available)")},
		{name: "junk as padding", data: join(ent{name: "f", body: "x", noPadding: true}.bytes(), []byte(repeat("p", 511)), tarOf(file("g", "y"))), tree: lines("f=x", "g=y")},
		{name: "big file", data: tarOf(file("a", "1"), file("big", big), file("b", "2")), tree: lines("a=1", "b=2", "big=0123456789abcdef0123...640000")},
		{name: "same content many times", data: tarOf(file("a", "same"), file("b", "same"), file("c", "same")), tree: lines("a=same", "b=same", "c=same")},
		{name: "ends after a PAX header", data: join(blocksOf(f), ent{typ: 'x', name: "p", body: paxRecord("path=never")}.bytes()), tree: lines("f=x"), differ: peers("bsd", "Damaged tar archive")},
		{name: "ends after a GNU long name", data: join(blocksOf(f), gnuLong('L', "never").bytes(), zeros(1024)), tree: lines("f=x"), differ: peers("bsd", "Damaged tar archive")},
	}
}
