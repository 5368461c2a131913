package unionfs

import (
	"archive/tar"
	"testing"

	"golang.org/x/sys/unix"
)

// sample is a lower with one of everything.
func sample() []lowerEntry {
	return []lowerEntry{
		dir("etc"),
		file("etc/hosts", "127.0.0.1 localhost\n"),
		file("etc/empty", ""),
		file("etc/shadow", "root:*\n").with(func(h *tar.Header) { h.Mode, h.Gid = 0o640, 42 }),
		symlink("etc/link", "hosts"),
		dir("usr"), dir("usr/bin"),
		file("usr/bin/su", "ELF...").with(func(h *tar.Header) {
			h.Mode = 0o4755
			h.PAXRecords = map[string]string{"SCHILY.xattr.user.note": "v", "SCHILY.xattr.security.capability": "CAP"}
		}),
		file("usr/bin/perl", "#perl"),
		link("usr/bin/perl5", "usr/bin/perl"),
		dir("usr/lib"),
		link("usr/lib/perl", "usr/bin/perl"),
		dir("dev"),
		special("dev/null", tar.TypeChar, 1, 3),
		special("dev/sda", tar.TypeBlock, 8, 0),
		special("dev/fifo", tar.TypeFifo, 0, 0),
		dir("empty"),
		dir("tree"), dir("tree/a"), dir("tree/a/b"),
		file("tree/a/b/deep", "deep"),
		file("tree/a/file", "a file"),
	}
}

func TestLowerAsItIs(t *testing.T) {
	u := newUnion(t, sample()...)
	tree := u.settle()
	if len(u.upperFiles()) != 0 {
		t.Errorf("reading put something into the upper: %v", u.upperFiles())
	}
	want := map[string]string{
		"/etc/link":      ` -> hosts`,
		"/usr/bin/perl5": `"#perl"`,
	}
	for p, w := range want {
		if got := tree[p]; len(got) < len(w) || got[len(got)-len(w):] != w {
			t.Errorf("%s: %s, want it to end in %s", p, got, w)
		}
	}
	a := u.attr("/dev/sda")
	if a.Mode != unix.S_IFBLK|0o640 || a.Major != 8 || a.Minor != 0 || a.Nlink != 1 {
		t.Errorf("/dev/sda: %+v", a)
	}
	if a := u.attr("/usr/bin/perl"); a.Nlink != 3 || a.Ino != u.attr("/usr/lib/perl").Ino {
		t.Errorf("hard links: %+v", a)
	}
	if a := u.attr("/usr"); a.Nlink != 4 || a.Size != 4096 || a.Mtime != (Time{Sec: 1_000_000_000, Nsec: 123_456_789}) {
		t.Errorf("/usr: %+v", a)
	}
}
