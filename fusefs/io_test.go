package fusefs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func random(n int) string {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{1, 2, 3})
	_, _ = rng.Read(b)
	return string(b)
}

func TestWrite(t *testing.T) {
	big := random(3<<20 + 17)
	u := mount(t, "", regular("big", big), regular("small", "small"))
	model := []byte(big)
	f := u.open("big", os.O_RDWR)
	for _, w := range []struct {
		off  int64
		data string
	}{{0, "start"}, {1 << 20, random(70000)}, {int64(len(big)) - 3, "longer than the end"}} {
		if _, err := f.WriteAt([]byte(w.data), w.off); err != nil {
			t.Fatal(err)
		}
		if grow := int(w.off) + len(w.data) - len(model); grow > 0 {
			model = append(model, make([]byte, grow)...)
		}
		copy(model[w.off:], w.data)
		got := make([]byte, len(model)+1)
		n, err := f.ReadAt(got, 0)
		if !errors.Is(err, io.EOF) || !bytes.Equal(got[:n], model) {
			t.Fatalf("after the write at %d the file differs: %d bytes, %v", w.off, n, err)
		}
	}
	check(t, f.Sync())
	check(t, f.Truncate(100))
	u.want("big", string(model[:100]))
	check(t, f.Truncate(200))
	u.want("big", string(model[:100])+strings.Repeat("\x00", 100))
	check(t, f.Close())
	u.write("small", "") // O_TRUNC of a lower file
	if st := u.stat("small"); st.Size != 0 {
		t.Errorf("truncated file has %d bytes", st.Size)
	}
	u.write("new", big)
	u.remount()
	u.want("big", string(model[:100])+strings.Repeat("\x00", 100))
	u.want("small", "")
	u.want("new", big)
}

// TestCopyUpUnderOpenFiles: what was opened or mapped before a copy-up shows
// what was written after it, from the page cache and from the server.
func TestCopyUpUnderOpenFiles(t *testing.T) {
	data := random(256 << 10)
	u := mount(t, "", regular("f", data), hardlink("g", "f"))
	old := u.open("f", os.O_RDONLY)
	other := u.open("g", os.O_RDONLY)
	mapped, err := unix.Mmap(int(old.Fd()), 0, len(data), unix.PROT_READ, unix.MAP_SHARED)
	check(t, err)
	defer func() { check(t, unix.Munmap(mapped)) }()
	if string(mapped) != data {
		t.Fatal("the mapping differs from the file")
	}

	model := []byte(data)
	w := u.open("f", os.O_WRONLY)
	for i, off := range []int64{0, 100_000, int64(len(data)) - 5} {
		text := fmt.Sprintf("new %d", i)
		if _, err := w.WriteAt([]byte(text), off); err != nil {
			t.Fatal(err)
		}
		copy(model[off:], text)
		for _, drop := range []bool{false, true} {
			if drop {
				dropPages(t, old)
			}
			if drop && i == 2 {
				dropCaches(t)
			}
			for name, f := range map[string]*os.File{"old descriptor": old, "other link": other} {
				got := make([]byte, len(model))
				if _, err := f.ReadAt(got, 0); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, model) {
					t.Errorf("stale read through the %s after write %d, pages dropped: %v", name, i, drop)
				}
			}
			if !bytes.Equal(mapped, model) {
				t.Errorf("stale mapping after write %d, pages dropped: %v", i, drop)
			}
		}
	}
	if n := u.stat("f").Nlink; n != 2 {
		t.Errorf("%d links after copy-up, want 2", n)
	}
}

func TestSharedMapping(t *testing.T) {
	data := random(64 << 10)
	u := mount(t, "", regular("f", data))
	before := u.stat("f")
	f := u.open("f", os.O_RDWR)
	m, err := unix.Mmap(int(f.Fd()), 0, len(data), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	check(t, err)
	model := []byte(data)
	for _, off := range []int{0, 5000, len(data) - 10} {
		copy(m[off:], "MAPPED")
		copy(model[off:], "MAPPED")
	}
	u.want("f", string(model)) // read(2) shows it at once
	check(t, unix.Msync(m, unix.MS_SYNC))
	check(t, unix.Munmap(m))
	check(t, f.Close())
	after := u.stat("f")
	if after.Mtim == before.Mtim || after.Ctim == before.Ctim {
		t.Errorf("times stay after a write through a mapping: %v, %v", after.Mtim, after.Ctim)
	}
	if after.Ino != before.Ino {
		t.Errorf("inode %d became %d at copy-up", before.Ino, after.Ino)
	}
	u.remount()
	u.want("f", string(model))
}

func TestAppendFromMany(t *testing.T) {
	u := mount(t, "", regular("log", "begin\n"))
	const writers, lines = 8, 50
	parallel(t, writers, func(i int) error {
		f, err := os.OpenFile(u.at("log"), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		for n := range lines {
			if _, err := fmt.Fprintf(f, "writer %d line %d\n", i, n); err != nil {
				return err
			}
		}
		return nil
	})
	got := strings.Split(strings.TrimSuffix(u.read("log"), "\n"), "\n")
	count := map[string]int{}
	for _, l := range got {
		count[l]++
	}
	if got[0] != "begin" || len(got) != 1+writers*lines {
		t.Errorf("%d lines, the first %q; want %d", len(got), got[0], 1+writers*lines)
	}
	for i := range writers {
		for n := range lines {
			if l := fmt.Sprintf("writer %d line %d", i, n); count[l] != 1 {
				t.Errorf("%q is there %d times", l, count[l])
			}
		}
	}
}

func TestExclusiveCreate(t *testing.T) {
	u := mount(t, "", regular("there", "x"))
	_, err := os.OpenFile(u.at("there"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	wantErr(t, "O_EXCL on a lower file", err, unix.EEXIST)
	const racers = 16
	var won [racers]bool
	parallel(t, racers, func(i int) error {
		f, err := os.OpenFile(u.at("lock"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, os.ErrExist) {
			return nil
		}
		if err != nil {
			return err
		}
		won[i] = true
		return f.Close()
	})
	winners := 0
	for _, w := range won {
		if w {
			winners++
		}
	}
	if winners != 1 {
		t.Errorf("%d processes created the same file exclusively", winners)
	}
	// A mode that forbids writing does not concern the one who creates.
	f, err := os.OpenFile(u.at("readonly"), os.O_CREATE|os.O_RDWR, 0o400)
	check(t, err)
	_, err = f.WriteString("written")
	check(t, err)
	check(t, f.Close())
	u.want("readonly", "written")
}

func TestOpenUnlinked(t *testing.T) {
	data := random(100_000)
	u := mount(t, "", regular("lower", data), regular("written", data))
	u.write("upper", data)
	for _, name := range []string{"lower", "upper", "written"} {
		f := u.open(name, os.O_RDWR)
		check(t, os.Remove(u.at(name)))
		dropPages(t, f)
		if name == "written" {
			_, err := f.WriteAt([]byte("after unlink"), 50)
			check(t, err)
			dropPages(t, f)
			got := make([]byte, 12)
			_, err = f.ReadAt(got, 50)
			check(t, err)
			if string(got) != "after unlink" {
				t.Errorf("an unlinked file does not hold what was written to it: %q", got)
			}
		} else if got, err := io.ReadAll(f); err != nil || string(got) != data {
			t.Errorf("%s cannot be read after unlink: %v", name, err)
		}
		var st unix.Stat_t
		check(t, unix.Fstat(int(f.Fd()), &st))
		if st.Nlink != 0 {
			t.Errorf("%s has %d links after unlink", name, st.Nlink)
		}
		u.write(name, "another")
		check(t, f.Close())
		u.want(name, "another")
	}
	u.remount()
	for _, name := range []string{"lower", "upper", "written"} {
		u.want(name, "another")
	}
}

func TestTmpfile(t *testing.T) {
	u := mount(t, "", dir("d"))
	f, err := os.OpenFile(u.at("d"), unix.O_TMPFILE|os.O_RDWR, 0o640)
	check(t, err)
	defer f.Close()
	_, err = f.WriteString("no name yet")
	check(t, err)
	if names := u.names("d"); len(names) != 0 {
		t.Errorf("a file without a name is listed: %q", names)
	}
	check(t, unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.AT_FDCWD, u.at("d/named"), unix.AT_SYMLINK_FOLLOW))
	u.want("d/named", "no name yet")
	u.remount(f)
	u.want("d/named", "no name yet")
}

func TestHolesAndFallocate(t *testing.T) {
	u := mount(t, "", regular("lower", strings.Repeat("d", 8192)))
	f := u.open("sparse", os.O_CREATE|os.O_RDWR)
	fd := int(f.Fd())
	_, err := f.WriteAt([]byte("data"), 1<<20)
	check(t, err)
	for _, c := range []struct {
		whence    int
		off, want int64
	}{
		{unix.SEEK_DATA, 0, 1 << 20},
		{unix.SEEK_HOLE, 0, 0},
		{unix.SEEK_HOLE, 1 << 20, 1<<20 + 4},
		{unix.SEEK_DATA, 1<<20 + 2, 1<<20 + 2},
	} {
		if got, err := unix.Seek(fd, c.off, c.whence); got != c.want || err != nil {
			t.Errorf("seek %d from %d: %d, %v, want %d", c.whence, c.off, got, err, c.want)
		}
	}
	_, err = unix.Seek(fd, 2<<20, unix.SEEK_DATA)
	wantErr(t, "data behind the end", err, unix.ENXIO)

	check(t, unix.Fallocate(fd, 0, 0, 2<<20))
	if st := u.stat("sparse"); st.Size != 2<<20 || st.Blocks*512 < 2<<20 {
		t.Errorf("allocated file has %d bytes, %d blocks", st.Size, st.Blocks)
	}
	check(t, unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 2<<20, 4096))
	if st := u.stat("sparse"); st.Size != 2<<20 {
		t.Errorf("FALLOC_FL_KEEP_SIZE made %d bytes", st.Size)
	}

	l := u.open("lower", os.O_RDWR)
	check(t, unix.Fallocate(int(l.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 4096, 4096))
	check(t, unix.Fallocate(int(l.Fd()), unix.FALLOC_FL_ZERO_RANGE, 0, 10))
	u.want("lower", strings.Repeat("\x00", 10)+strings.Repeat("d", 4086)+strings.Repeat("\x00", 4096))
	wantErr(t, "unknown mode", unix.Fallocate(int(l.Fd()), unix.FALLOC_FL_COLLAPSE_RANGE, 0, 4096), unix.EOPNOTSUPP)
}

func TestCopyFileRange(t *testing.T) {
	data := random(2<<20 + 5)
	u := mount(t, "", regular("from", data), regular("to", "overwritten"))
	from, to := u.open("from", os.O_RDONLY), u.open("to", os.O_RDWR)
	var offIn, offOut int64 = 10, 3
	left := len(data) - 10
	for left > 0 {
		n, err := unix.CopyFileRange(int(from.Fd()), &offIn, int(to.Fd()), &offOut, left, 0)
		check(t, err)
		if n == 0 {
			t.Fatalf("copy_file_range stops %d bytes early", left)
		}
		left -= n
	}
	u.want("to", "ove"+data[10:])
	u.remount(from, to)
	u.want("to", "ove"+data[10:])
}

// TestDirectIO: what goes past the page cache and what goes through it agree.
func TestDirectIO(t *testing.T) {
	u := mount(t, "", regular("f", strings.Repeat("a", 1<<16)))
	u.want("f", strings.Repeat("a", 1<<16)) // fill the cache
	buf, err := unix.Mmap(-1, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	check(t, err)
	defer func() { check(t, unix.Munmap(buf)) }()
	copy(buf, strings.Repeat("b", 8192))
	f := u.open("f", os.O_RDWR|unix.O_DIRECT)
	_, err = f.WriteAt(buf, 4096)
	check(t, err)
	u.want("f", strings.Repeat("a", 4096)+strings.Repeat("b", 8192)+strings.Repeat("a", 1<<16-12288))
	w := u.open("f", os.O_WRONLY)
	_, err = w.WriteAt([]byte("cc"), 4096)
	check(t, err)
	_, err = f.ReadAt(buf[:4096], 4096)
	check(t, err)
	if string(buf[:4]) != "ccbb" {
		t.Errorf("direct read gives %q", buf[:4])
	}
}

// TestFileHandles: a handle finds its file after the kernel has forgotten it,
// and one that was made up finds nothing.
func TestFileHandles(t *testing.T) {
	if thisWay() != asRoot {
		t.Skip("needs root: open_by_handle_at asks for CAP_DAC_READ_SEARCH")
	}
	u := mount(t, "", dir("d"), regular("d/lower", "lower"))
	u.write("d/upper", "upper")
	root := u.open(".", os.O_RDONLY)
	for _, name := range []string{"lower", "upper"} {
		h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, u.at("d/"+name), 0)
		check(t, err)
		dropCaches(t)
		fd, err := unix.OpenByHandleAt(int(root.Fd()), h, unix.O_RDONLY)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := make([]byte, 10)
		n, err := unix.Read(fd, got)
		if string(got[:n]) != name || err != nil {
			t.Errorf("the handle of %s reads %q, %v", name, got[:n], err)
		}
		check(t, unix.Close(fd))

		fake := bytes.Clone(h.Bytes())
		fake[2] ^= 0x55 // of the node id
		_, err = unix.OpenByHandleAt(int(root.Fd()), unix.NewFileHandle(h.Type(), fake), unix.O_RDONLY)
		wantErr(t, "a made-up handle", err, unix.ESTALE)
	}
}
