package unionfs

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

var lowerTime = time.Unix(1_000_000_000, 123_456_789)

// A pool keeps the contents of a test's lower in a directory. It is the Sink of
// its scan.
type pool struct{ dir string }

func (p pool) path(h tarindex.Hash) string { return filepath.Join(p.dir, h.String()) }

func (p pool) open(h tarindex.Hash, size int64) (*os.File, int64, error) {
	f, err := os.Open(p.path(h))
	if packed(h, size) {
		return f, int64(len(neighbour)), err
	}
	return f, 0, err
}

func (p pool) Put(h tarindex.Hash, data []byte) error {
	if packed(h, int64(len(data))) {
		data = slices.Concat([]byte(neighbour), data, []byte(neighbour))
	}
	return os.WriteFile(p.path(h), data, 0o644)
}

// packed tells which contents lie among neighbours, whose bytes nobody may ever
// see: half of those that Put gets.
func packed(h tarindex.Hash, size int64) bool { return size <= 256<<10 && h[0]%2 == 1 }

// neighbour is another content in the same file; 37 is no multiple of anything.
var neighbour = strings.Repeat("\xeeneighbour", 37)

func (p pool) Create(int64) (tarindex.ContentWriter, error) {
	f, err := os.CreateTemp(p.dir, "big")
	return poolFile{f, p}, err
}

type poolFile struct {
	*os.File
	p pool
}

func (f poolFile) Commit(h tarindex.Hash) error {
	return errors.Join(f.Close(), os.Rename(f.Name(), f.p.path(h)))
}
func (f poolFile) Abort() error { return errors.Join(f.Close(), os.Remove(f.Name())) }

// Entries of a lower. Names ending in / are directories.

type lowerEntry struct {
	tar.Header
	body string
}

func file(name, body string) lowerEntry {
	return lowerEntry{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(body)), ModTime: lowerTime}, body}
}
func dir(name string) lowerEntry {
	return lowerEntry{Header: tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: lowerTime}}
}
func symlink(name, target string) lowerEntry {
	return lowerEntry{Header: tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777, ModTime: lowerTime}}
}
func link(name, target string) lowerEntry {
	return lowerEntry{Header: tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}}
}
func special(name string, typ byte, major, minor int64) lowerEntry {
	return lowerEntry{Header: tar.Header{Name: name, Typeflag: typ, Mode: 0o640, Devmajor: major, Devminor: minor, ModTime: lowerTime}}
}
func (e lowerEntry) with(change func(*tar.Header)) lowerEntry {
	change(&e.Header)
	return e
}

func makeLower(t testing.TB, p pool, entries []lowerEntry) *tarindex.Index {
	t.Helper()
	x, err := tarindex.Parse(makeIndex(t, p, entries))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// writeTar makes a layer.
func writeTar(t testing.TB, entries []lowerEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		e.Format = tar.FormatPAX
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// makeIndex makes the merged index of a chain of one layer.
func makeIndex(t testing.TB, p pool, entries []lowerEntry) []byte {
	t.Helper()
	layer, err := tarindex.Scan(context.Background(), bytes.NewReader(writeTar(t, entries)), p, io.Discard, tarindex.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var own, merged bytes.Buffer
	if err := layer.WriteIndex(&own); err != nil {
		t.Fatal(err)
	}
	x, err := tarindex.Parse(own.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := tarindex.Merge(nil, x, &merged); err != nil {
		t.Fatal(err)
	}
	return merged.Bytes()
}

// A union is an FS under test, used by path.
type union struct {
	t testing.TB
	*FS
	o     Options
	pool  pool
	cred  Cred
	index []byte // of the lower
}

func newUnion(t testing.TB, entries ...lowerEntry) *union {
	t.Helper()
	top := t.TempDir()
	u := &union{t: t, pool: pool{filepath.Join(top, "content")}}
	u.o = Options{Upper: filepath.Join(top, "upper"), Work: filepath.Join(top, "work"), Open: u.pool.open, Volatile: true}
	for _, d := range []string{u.pool.dir, u.o.Upper, u.o.Work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	u.index = makeIndex(t, u.pool, entries)
	x, err := tarindex.Parse(u.index)
	if err != nil {
		t.Fatal(err)
	}
	u.o.Lower = x
	u.cred = Cred{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	u.mount()
	t.Cleanup(func() { u.FS.Close() })
	return u
}

func (u *union) mount() {
	u.t.Helper()
	var err error
	if u.FS, err = New(u.o); err != nil {
		u.t.Fatal(err)
	}
}

func (u *union) remount() {
	u.t.Helper()
	u.unmount()
	u.mount()
}

func (u *union) unmount() {
	u.t.Helper()
	if err := u.FS.Close(); err != nil {
		u.t.Fatal(err)
	}
}

// settle checks that what is shown is the same after a remount, that nothing is
// left in the work directory, and returns it.
func (u *union) settle() map[string]string {
	u.t.Helper()
	before := u.tree()
	u.remount()
	after := u.tree()
	diffTrees(u.t, "before remount", before, "after", after)
	if left, _ := os.ReadDir(u.o.Work); len(left) > 0 {
		u.t.Errorf("left in the work directory: %v", left)
	}
	return after
}

func diffTrees(t testing.TB, aName string, a map[string]string, bName string, b map[string]string) {
	t.Helper()
	all := maps.Clone(a)
	maps.Copy(all, b)
	for _, p := range slices.Sorted(maps.Keys(all)) {
		if a[p] != b[p] {
			t.Errorf("%s:\n  %-15s %s\n  %-15s %s", p, aName, cmp.Or(a[p], "nothing"), bName, cmp.Or(b[p], "nothing"))
		}
	}
}

// id looks path up and keeps the reference.
func (u *union) find(p string) (Entry, error) {
	e := Entry{ID: RootID}
	for name := range strings.SplitSeq(strings.Trim(p, "/"), "/") {
		if name == "" {
			continue
		}
		var err error
		if e, err = u.Lookup(e.ID, name); err != nil {
			return e, err
		}
	}
	if e.ID == RootID {
		a, err := u.Getattr(RootID)
		return Entry{ID: RootID, Attr: a}, err
	}
	return e, nil
}

func (u *union) id(p string) uint64 {
	u.t.Helper()
	e, err := u.find(p)
	if err != nil {
		u.t.Fatalf("lookup %s: %v", p, err)
	}
	return e.ID
}

func (u *union) attr(p string) Attr {
	u.t.Helper()
	a, err := u.Getattr(u.id(p))
	if err != nil {
		u.t.Fatalf("getattr %s: %v", p, err)
	}
	return a
}

func (u *union) up(p string) (uint64, string) {
	u.t.Helper()
	return u.id(path.Dir(p)), path.Base(p)
}

func (u *union) ok(err error) {
	u.t.Helper()
	if err != nil {
		u.t.Fatal(err)
	}
}

func (u *union) fails(want syscall.Errno, err error) {
	u.t.Helper()
	if !errors.Is(err, want) {
		u.t.Errorf("got error %v, want %v (%s)", err, want, unix.ErrnoName(want))
	}
}

func (u *union) mkdir(p string) error {
	d, name := u.up(p)
	_, err := u.Mkdir(u.cred, d, name, 0o755)
	return err
}
func (u *union) mknod(p string, mode, major, minor uint32) error {
	d, name := u.up(p)
	_, err := u.Mknod(u.cred, d, name, mode, major, minor)
	return err
}
func (u *union) symlink(target, p string) error {
	d, name := u.up(p)
	_, err := u.Symlink(u.cred, d, name, target)
	return err
}
func (u *union) link(old, p string) error {
	d, name := u.up(p)
	_, err := u.Link(u.id(old), d, name)
	return err
}
func (u *union) unlink(p string) error {
	d, name := u.up(p)
	return u.Unlink(d, name)
}
func (u *union) rmdir(p string) error {
	d, name := u.up(p)
	return u.Rmdir(d, name)
}
func (u *union) rename(old, p string, flags uint32) error {
	d, name := u.up(old)
	e, nn := u.up(p)
	return u.Rename(d, name, e, nn, flags)
}
func (u *union) pwrite(p, data string, off int64) error {
	n, err := u.Write(nil, u.id(p), []byte(data), off, false)
	if err == nil && n != len(data) {
		return fmt.Errorf("short write: %d", n)
	}
	return err
}

// put makes a file with content, or replaces the content of one.
func (u *union) put(p, data string) {
	u.t.Helper()
	if _, err := u.find(p); err != nil {
		u.ok(u.mknod(p, unix.S_IFREG|0o644, 0, 0))
	} else {
		u.ok(u.truncate(p, 0))
	}
	u.ok(u.pwrite(p, data, 0))
}
func (u *union) truncate(p string, size int64) error {
	_, err := u.Setattr(nil, u.id(p), SetAttr{Valid: SetSize, Size: size})
	return err
}
func (u *union) chmod(p string, mode uint32) error {
	_, err := u.Setattr(nil, u.id(p), SetAttr{Valid: SetMode, Mode: mode})
	return err
}
func (u *union) chown(p string, uid, gid uint32) error {
	_, err := u.Setattr(nil, u.id(p), SetAttr{Valid: SetUID | SetGID, UID: uid, GID: gid})
	return err
}

func (u *union) content(id uint64) string {
	u.t.Helper()
	a, err := u.Getattr(id)
	u.ok(err)
	b := make([]byte, a.Size+1)
	n, err := u.Read(id, b, 0)
	if err != nil {
		u.t.Fatalf("read %d: %v", id, err)
	}
	if int64(n) != a.Size {
		u.t.Errorf("read %d bytes of a file of %d", n, a.Size)
	}
	return string(b[:n])
}
func (u *union) read(p string) string {
	u.t.Helper()
	return u.content(u.id(p))
}

func (u *union) list(p string) []string {
	u.t.Helper()
	var names []string
	u.ok(u.Readdir(u.id(p), 0, false, func(e DirEntry, _ *Entry) bool {
		if e.Name != "." && e.Name != ".." {
			names = append(names, e.Name)
		}
		return true
	}))
	slices.Sort(names)
	return names
}
