package unionfs

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// The diff is right if the lower with it on top is what the union shows. That
// is checked twice: with our own reader of layers, and with GNU tar.
func TestDiff(t *testing.T) {
	entries := changeSample()
	parent := writeTar(t, entries)
	for _, c := range changeCases {
		t.Run(c.name, func(t *testing.T) {
			u := newUnion(t, entries...)
			c.do(u)
			diff, err := checkDiff(u.FS, u.pool)
			if err != nil {
				t.Fatal(err)
			}
			u.remount()
			if again, err := diffOf(u.FS); err != nil || !bytes.Equal(again, diff) {
				t.Errorf("other bytes after a remount (%v)", err)
			}
			want, err := viewUnion(u.FS)
			u.ok(err)
			root := filepath.Join(t.TempDir(), "root")
			gnuTar(t, root, parent)
			applyByHand(t, root, diff)
			got := viewDir(t, root)
			if !strings.Contains(c.want+",", "C /,") {
				// What tar did in the root has changed its time.
				g := want["/"]
				g.Mtime = got["/"].Mtime
				want["/"] = g
			}
			if err := differences("tar", got, "union", want.asPlainFiles()); err != nil {
				t.Errorf("GNU tar makes something else of the diff: %v", err)
			}
		})
	}
}

// gnuTar extracts a tar into dir, as root with owners and devices. A plain user
// can make no devices; those are left out.
func gnuTar(t *testing.T, dir string, layer []byte) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err == nil {
		if err := os.Chtimes(dir, lowerTime, lowerTime); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-x", "-p", "-f", "-", "-C", dir, "--numeric-owner", "--xattrs", "--xattrs-include=user.*", "--exclude=.wh.*", "--delay-directory-restore"}
	if os.Geteuid() != 0 {
		args = append(args, "--exclude=./dev", "--exclude=dev", "--exclude=null")
	}
	cmd := exec.Command("tar", args...)
	cmd.Stdin = bytes.NewReader(layer)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
}

// applyByHand does what a container engine does with a layer, with GNU tar and
// rm.
func applyByHand(t *testing.T, root string, diff []byte) {
	t.Helper()
	var headers []*tar.Header
	for r := tar.NewReader(bytes.NewReader(diff)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, h)
	}
	remove := func(p string) {
		if err := os.RemoveAll(p); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range headers {
		if name, ok := strings.CutPrefix(path.Base(h.Name), ".wh."); ok {
			remove(filepath.Join(root, path.Dir(h.Name), name))
		}
	}
	for _, h := range headers {
		p := filepath.Join(root, h.Name)
		if fi, err := os.Lstat(p); err == nil && fi.IsDir() != (h.Typeflag == tar.TypeDir) {
			remove(p)
		}
	}
	gnuTar(t, root, diff)
}

// viewDir looks at a directory of the host.
func viewDir(t *testing.T, root string) view {
	t.Helper()
	v := make(view)
	err := filepath.Walk(root, func(p string, fi os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		st := fi.Sys().(*syscall.Stat_t)
		g := thing{
			Mode: st.Mode, UID: st.Uid, GID: st.Gid, Nlink: uint32(st.Nlink), Ino: st.Ino,
			Mtime: Time{Sec: st.Mtim.Sec, Nsec: uint32(st.Mtim.Nsec)},
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFCHR, unix.S_IFBLK:
			g.Major, g.Minor = unix.Major(st.Rdev), unix.Minor(st.Rdev)
		case unix.S_IFLNK:
			g.Size = st.Size
			if g.Data, err = os.Readlink(p); err != nil {
				return err
			}
		case unix.S_IFREG:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			g.Size, g.Data = st.Size, digestLong(b)
		}
		if g.Xattrs, err = hostXattrs(p); err != nil {
			return err
		}
		v["/"+strings.TrimPrefix(strings.TrimPrefix(p, root), "/")] = g
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	v.nameGroups()
	return v.asPlainFiles()
}

func hostXattrs(p string) (string, error) {
	b := make([]byte, 1000)
	n, err := unix.Llistxattr(p, b)
	if err != nil {
		return "", err
	}
	xattrs := make(map[string]string)
	for _, name := range strings.FieldsFunc(string(b[:n]), func(r rune) bool { return r == 0 }) {
		if n, err = unix.Lgetxattr(p, name, b); err != nil {
			return "", err
		}
		xattrs[name] = string(b[:n])
	}
	return xattrString(xattrs), nil
}

// asPlainFiles leaves out what tar cannot restore here, or is not asked to.
func (v view) asPlainFiles() view {
	w := make(view)
	for p, g := range v {
		g.Ino = 0
		if g.isDir() {
			g.Nlink = 0
		}
		g.Xattrs = strings.Join(slices.DeleteFunc(strings.Fields(g.Xattrs), func(x string) bool { return !strings.HasPrefix(x, "user.") }), " ")
		if os.Geteuid() != 0 {
			g.UID, g.GID = 0, 0
			if p == "/dev" || strings.HasPrefix(p, "/dev/") || strings.Contains(g.Names, "/dev/") {
				continue
			}
		}
		w[p] = g
	}
	return w
}

func TestDiffOfNothing(t *testing.T) {
	u := newUnion(t, sample()...)
	diff, err := diffOf(u.FS)
	u.ok(err)
	if !bytes.Equal(diff, make([]byte, 1024)) {
		t.Errorf("%d bytes, want an empty tar: two blocks of zeros", len(diff))
	}
}

// What two unions have in common is in their diffs byte for byte, whatever way
// they came to it.
func TestDiffDependsOnTheStateAlone(t *testing.T) {
	var diffs [2][]byte
	for i := range diffs {
		u := newUnion(t, sample()...)
		u.cred = Cred{}
		if i == 1 { // detours
			u.put("/etc/z", "")
			u.ok(u.mkdir("/etc/y"))
			u.ok(u.rename("/etc/y", "/tree/y", 0))
			u.ok(u.rmdir("/tree/y"))
			u.ok(u.unlink("/etc/z"))
			u.ok(u.chmod("/usr/bin/perl", 0o600))
			u.ok(u.chmod("/usr/bin/perl", 0o644))
		}
		for _, p := range []string{"/etc/b", "/etc/a", "/etc/c"} {
			u.put(p, "content of "+p)
			u.ok(u.Setxattr(u.id(p), "user.z", []byte("1"), 0, false))
			u.ok(u.Setxattr(u.id(p), "user.a", []byte("2"), 0, false))
			u.setTime(p)
		}
		u.ok(u.unlink("/tree/a/file"))
		for _, p := range []string{"/etc", "/tree", "/tree/a"} {
			u.setTime(p)
		}
		var err error
		diffs[i], err = diffOf(u.FS)
		u.ok(err)
	}
	if !bytes.Equal(diffs[0], diffs[1]) {
		t.Error("the bytes differ")
	}
}

func TestDiffRefusesSockets(t *testing.T) {
	u := newUnion(t, sample()...)
	u.ok(u.mknod("/tree/a/sock", unix.S_IFSOCK|0o777, 0, 0))
	_, err := diffOf(u.FS)
	if !errors.Is(err, tarindex.ErrSocket) || !strings.Contains(err.Error(), "tree/a/sock") {
		t.Errorf("got %v, want an error that names the socket", err)
	}
	if got, want := u.changes(), "C /tree/a, A /tree/a/sock"; got != want {
		t.Errorf("changes are %s, want %s", got, want)
	}
}

func TestDiffClampsTimes(t *testing.T) {
	u := newUnion(t, sample()...)
	u.put("/etc/new", "x")
	u.put("/etc/old", "x")
	_, err := u.Setattr(nil, u.id("/etc/old"), SetAttr{Valid: SetMtime, Mtime: Time{Sec: 77}})
	u.ok(err)
	var b bytes.Buffer
	u.ok(u.Diff(context.Background(), &b, tarindex.TarOptions{Clamp: &Time{Sec: 1_500_000_000}}))
	times := make(map[string]int64)
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		u.ok(err)
		times[h.Name] = h.ModTime.Unix()
	}
	want := map[string]int64{"etc/": 1_500_000_000, "etc/new": 1_500_000_000, "etc/old": 77}
	for name, sec := range want {
		if times[name] != sec {
			t.Errorf("%s has the time %d, want %d", name, times[name], sec)
		}
	}
	if len(times) != len(want) {
		t.Errorf("entries %v", times)
	}
}

// A hookWriter calls hook before the first write.
type hookWriter struct {
	hook func()
	n    int
}

func (w *hookWriter) Write(p []byte) (int, error) {
	if w.n == 0 {
		w.hook()
	}
	w.n += len(p)
	return len(p), nil
}

func TestDiffOfAFileThatShrinks(t *testing.T) {
	u := newUnion(t, sample()...)
	u.put("/big", strings.Repeat("x", 1<<20))
	w := &hookWriter{hook: func() { u.ok(u.truncate("/big", 10)) }}
	err := u.Diff(context.Background(), w, tarindex.TarOptions{})
	if !errors.Is(err, tarindex.ErrTruncated) || !strings.Contains(err.Error(), `"big"`) || !strings.Contains(err.Error(), "try again") {
		t.Errorf("got %v", err)
	}
}

func TestDiffIsCancelled(t *testing.T) {
	u := newUnion(t, sample()...)
	u.put("/big", strings.Repeat("x", 1<<20))
	ctx, cancel := context.WithCancel(context.Background())
	w := &hookWriter{hook: cancel}
	if err := u.Diff(ctx, w, tarindex.TarOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v after %d bytes", err, w.n)
	}
	cancel()
	if err := u.Diff(ctx, io.Discard, tarindex.TarOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Another process has the upper mounted and removes what has been listed: that
// is told from a damaged upper, for it is worth another try.
func TestDiffOfAFileThatGoes(t *testing.T) {
	u := newUnion(t, dir("d"), file("d/f", "x"))
	u.ok(u.put2("/d/new"))
	o := u.o
	o.ReadOnlyUpper = true
	other, err := New(o)
	u.ok(err)
	defer func() { u.ok(other.Close()) }()
	u.ok(other.loadAll(other.root))
	u.ok(u.unlink("/d/new"))
	if err := other.Diff(context.Background(), io.Discard, tarindex.TarOptions{}); !errors.Is(err, ErrChanging) || !strings.Contains(err.Error(), "/d/new") {
		t.Errorf("got %v, want ErrChanging with the path", err)
	}
}

// A flipped bit in the data of the lower does not get into a layer, wherever it
// is, and whether a file shows that byte or not. The file is named.
func TestDiffOfDamage(t *testing.T) {
	for _, body := range []string{"a small one, with neighbours or not", "another small one", "and 3 more", bigBody()} {
		for _, at := range []int{0, len(body) / 2, len(body) - 1} {
			for _, shown := range []int{len(body), 1} {
				u := newUnion(t, file("dir/file", body), file("dir/other", "other"))
				u.ok(u.chmod("/dir/file", 0o600))
				if shown < len(body) {
					u.ok(u.truncate("/dir/file", int64(shown)))
				}
				if diff, err := diffOf(u.FS); err != nil || !bytes.Contains(diff, []byte(body[:shown])) {
					t.Fatalf("before: %v", err)
				}
				h := tarindex.Hash(sha256.Sum256([]byte(body)))
				b, err := os.ReadFile(u.pool.path(h))
				u.ok(err)
				off := at
				if packed(h, int64(len(body))) {
					off += len(neighbour)
				}
				b[off] ^= 0x10
				u.ok(os.WriteFile(u.pool.path(h), b, 0o644))
				_, err = diffOf(u.FS)
				if !errors.Is(err, tarindex.ErrCorrupt) || !strings.Contains(err.Error(), "dir/file") || !strings.Contains(err.Error(), h.String()) {
					t.Errorf("%d bytes, %d flipped, %d shown: %v", len(body), at, shown, err)
				}
			}
		}
	}
}
