package unionfs

import (
	"testing"
	"time"
)

// What happens to a file is nothing to its directories: they show the ctime
// that they had, also the root and one that was in the upper before. What
// happens to a directory itself shows.
func TestCtimeOfDirectories(t *testing.T) {
	u := newUnion(t, dir("a"), dir("a/b"), file("a/b/f", "x"), file("a/b/g", "y"), link("a/h", "a/b/g"), dir("c"), file("c/f", "z"))
	dirs := []string{"/", "/a", "/a/b", "/c"}
	seen := make(map[string]Time)
	look := func() {
		for _, d := range dirs {
			seen[d] = u.attr(d).Ctime
		}
	}
	same := func(after string) {
		t.Helper()
		for _, d := range dirs {
			if now := u.attr(d).Ctime; now != seen[d] {
				t.Errorf("after %s the ctime of %s is %v, was %v", after, d, now, seen[d])
			}
		}
	}
	look()
	time.Sleep(20 * time.Millisecond) // more than a tick of the kernel's clock
	u.ok(u.chmod("/a/b/f", 0o600))
	same("chmod of a file")
	u.ok(u.pwrite("/a/b/g", "new", 0)) // a group: copies up in two directories
	same("a write to a file with two names")

	u.ok(u.mkdir("/c/new"))
	if u.attr("/c").Ctime == seen["/c"] {
		t.Error("a new name does not show in the ctime of its directory")
	}
	look()
	time.Sleep(20 * time.Millisecond)
	u.ok(u.chmod("/c/f", 0o600))
	same("chmod of a file beside a new one")

	for what, change := range map[string]func() error{
		"chmod":    func() error { return u.chmod("/a", 0o711) },
		"setxattr": func() error { return u.Setxattr(u.id("/a"), "user.n", []byte("v"), 0, false) },
		"unlink":   func() error { return u.unlink("/a/h") },
	} {
		look()
		time.Sleep(20 * time.Millisecond)
		u.ok(change())
		if u.attr("/a").Ctime == seen["/a"] {
			t.Errorf("%s does not show in the ctime of the directory", what)
		}
	}
}
