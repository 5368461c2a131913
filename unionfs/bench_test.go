package unionfs

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func benchUnion(b *testing.B) *union {
	var entries []lowerEntry
	entries = append(entries, dir("d"))
	for i := range 1000 {
		entries = append(entries, file(fmt.Sprintf("d/file%04d", i), "content"))
	}
	return newUnion(b, entries...)
}

func BenchmarkLookupLower(b *testing.B) {
	u := benchUnion(b)
	d := u.id("/d")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := u.Lookup(d, "file0500"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookupUpper(b *testing.B) {
	u := benchUnion(b)
	u.put("/d/file0500", "x")
	d := u.id("/d")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := u.Lookup(d, "file0500"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReaddirPlusLower(b *testing.B) {
	u := benchUnion(b)
	d := u.id("/d")
	b.ReportAllocs()
	for b.Loop() {
		u.ok(u.Readdir(d, 0, true, func(DirEntry, *Entry) bool { return true }))
	}
}

func BenchmarkCreateWriteUnlink(b *testing.B) {
	u := benchUnion(b)
	d := u.id("/d")
	for b.Loop() {
		e, err := u.Mknod(u.cred, d, "new", unix.S_IFREG|0o644, 0, 0)
		u.ok(err)
		_, err = u.Write(nil, e.ID, []byte("hello"), 0, false)
		u.ok(err)
		u.ok(u.Unlink(d, "new"))
		u.Forget(e.ID, 1)
	}
}

func BenchmarkUnlinkLower(b *testing.B) {
	u := benchUnion(b)
	d := u.id("/d")
	i := 0
	for b.Loop() {
		if i == 1000 {
			b.StopTimer()
			u = benchUnion(b)
			d, i = u.id("/d"), 0
			b.StartTimer()
		}
		u.ok(u.Unlink(d, fmt.Sprintf("file%04d", i)))
		i++
	}
}
