package unionfs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/layerfs/layerfs/tarindex"
)

func whiteout(name string) lowerEntry {
	i := strings.LastIndexByte(name, '/') + 1
	return lowerEntry{Header: tar.Header{Name: name[:i] + ".wh." + name[i:], Typeflag: tar.TypeReg, Mode: 0o600}}
}

func opaque(name string) lowerEntry {
	return lowerEntry{Header: tar.Header{Name: name + "/.wh..wh..opq", Typeflag: tar.TypeReg, Mode: 0o600}}
}

func withXattr(name, value string) func(*tar.Header) {
	return func(h *tar.Header) { h.PAXRecords = map[string]string{"SCHILY.xattr." + name: value} }
}

// A layer that is applied gives the tree that a chain with it on top has.
func TestApply(t *testing.T) {
	acl := string((acl{{aclUserObj, 7, 0}, {aclUser, 5, 99}, {aclGroupObj, 4, 0}, {aclMask, 5, 0}, {aclOther, 0, 0}}).bytes())
	for _, c := range []struct {
		name  string
		layer []lowerEntry
	}{
		{"empty", nil},
		{"new file", []lowerEntry{file("etc/new", "x")}},
		{"new file in a described directory", []lowerEntry{dir("etc"), file("etc/new", "x")}},
		{"implied directories", []lowerEntry{file("a/b/c", "x")}},
		{"file over file", []lowerEntry{file("etc/hosts", "other")}},
		{"big file", []lowerEntry{file("big", strings.Repeat("0123456789abcdef", 1<<17))}},
		{"file over a link", []lowerEntry{file("usr/bin/perl", "other")}},
		{"file over a tree", []lowerEntry{file("tree", "x")}},
		{"symlink over a tree", []lowerEntry{symlink("tree", "etc")}},
		{"directory over a file", []lowerEntry{dir("etc/hosts"), file("etc/hosts/x", "y")}},
		{"implied directory over a file", []lowerEntry{file("etc/hosts/x", "y")}},
		{"implied directory over a symlink", []lowerEntry{file("etc/link/x", "y")}},
		{"directory over a directory", []lowerEntry{dir("tree/a").with(func(h *tar.Header) {
			h.Mode, h.Uid, h.PAXRecords = 0o1777, 7, map[string]string{"SCHILY.xattr.user.x": "y"}
		})}},
		{"root", []lowerEntry{dir(".").with(func(h *tar.Header) { h.Mode, h.Uid = 0o700, 5 }), file("x", "")}},
		{"setgid directory", []lowerEntry{
			dir("g").with(func(h *tar.Header) { h.Mode, h.Gid = 0o2775, 77 }), dir("g/d"), file("g/f", "x"),
		}},
		{"whiteout of a file", []lowerEntry{whiteout("etc/hosts")}},
		{"whiteout of a tree", []lowerEntry{whiteout("tree")}},
		{"whiteout of nothing", []lowerEntry{whiteout("etc/nothing"), whiteout("no/thing")}},
		{"whiteout below a file", []lowerEntry{whiteout("etc/hosts/x")}},
		{"whiteout of a long name", []lowerEntry{whiteout(longName)}},
		{"whiteout, then the name", []lowerEntry{whiteout("tree"), dir("tree"), file("tree/x", "y")}},
		{"the name, then its whiteout", []lowerEntry{file("etc/hosts", "z"), whiteout("etc/hosts")}},
		{"opaque", []lowerEntry{dir("tree"), opaque("tree"), file("tree/x", "y")}},
		{"opaque, last", []lowerEntry{dir("tree/a"), file("tree/a/x", "y"), opaque("tree")}},
		{"opaque, implied", []lowerEntry{opaque("tree/a")}},
		{"opaque root", []lowerEntry{opaque("."), file("x", "y"), link("perl", "usr/bin/perl")}},
		{"modes", []lowerEntry{
			file("m1", "x").with(func(h *tar.Header) { h.Mode, h.Uid, h.Gid = 0o6755, 1, 2 }),
			file("m2", "x").with(func(h *tar.Header) { h.Mode = 0 }),
			symlink("m3", "x").with(func(h *tar.Header) { h.Mode, h.Uid = 0o4750, 9 }),
			dir("m4").with(func(h *tar.Header) { h.Mode = 0 }), file("m4/x", "y"),
		}},
		{"times", []lowerEntry{
			file("t1", "x").with(func(h *tar.Header) { h.ModTime = time.Unix(-7, 1) }),
			symlink("t2", "x").with(func(h *tar.Header) { h.ModTime = time.Unix(5, 0) }),
			dir("t3").with(func(h *tar.Header) { h.ModTime = time.Unix(0, 0) }), file("t3/x", "y"),
		}},
		{"devices", []lowerEntry{
			special("d/zero", tar.TypeChar, 1, 5), special("d/sd", tar.TypeBlock, 300, 70000), special("d/p", tar.TypeFifo, 0, 0),
			special("d/whiteout", tar.TypeChar, 0, 0), special("dev/null", tar.TypeFifo, 0, 0),
		}},
		{"xattrs", []lowerEntry{
			file("x1", "x").with(withXattr("user.overlay.opaque", "y")),
			file("x2", "x").with(withXattr("security.capability", "cap")),
			dir("x3").with(withXattr("trusted.overlay.redirect", "/etc")),
			symlink("x4", "x").with(withXattr("user.not.allowed", "on a symlink")),
			file("x5", "x").with(withXattr("system.nfs4_acl", "whatever")),
			file("usr/bin/su", "x").with(withXattr("user.other", "v")),
		}},
		{"xattrs of a directory replaced", []lowerEntry{dir("acl"), dir("usr").with(withXattr("user.new", "v"))}},
		{"access ACL", []lowerEntry{file("etc/acl", "x").with(func(h *tar.Header) {
			h.Mode, h.PAXRecords = 0o750, map[string]string{"SCHILY.xattr.system.posix_acl_access": acl}
		})}},
		{"below a default ACL", []lowerEntry{file("acl/f", "x").with(func(h *tar.Header) { h.Mode = 0o777 }), dir("acl/d")}},
		{"ACL that does not fit the mode", []lowerEntry{file("etc/acl", "x").with(withXattr("system.posix_acl_access", acl))}},
		{"links", []lowerEntry{file("l/1", "x"), link("l/2", "l/1"), link("etc/hosts", "l/1"), symlink("l/s", "t"), link("l/s2", "l/s")}},
		{"link to a lower file", []lowerEntry{link("new", "etc/hosts")}},
		{"link to a lower group", []lowerEntry{link("tree/a/file", "usr/lib/perl")}},
		{"link to what a whiteout hides", []lowerEntry{whiteout("etc/hosts"), link("etc/new", "etc/hosts"), whiteout("usr"), link("p", "usr/bin/perl")}},
		{"link to what a file replaces", []lowerEntry{link("a", "tree/a/b/deep"), file("tree", "x")}},
		{"links to each other's places", []lowerEntry{link("etc/hosts", "etc/shadow"), link("etc/empty", "etc/hosts")}},
		{"link to itself", []lowerEntry{link("etc/hosts", "etc/hosts")}},
		{"link to nothing", []lowerEntry{link("etc/hosts", "no/such"), link("x", "etc"), link("y", "etc/hosts/z")}},
		{"names that Apply uses", []lowerEntry{link("x", "etc/hosts"), file(".layerfs-1", "mine"), link("y", "etc/shadow")}},
		{"whiteout of such a name", []lowerEntry{link("x", "etc/hosts"), whiteout(".layerfs-0")}},
		{"names of no encoding", []lowerEntry{file("na\xefve\xff", "x"), whiteout("caf\xe9"), dir("new\nline")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := append(changeSample(), file(".layerfs-0", "the lower's"), dir("acl").with(withXattr("system.posix_acl_default", acl)))
			u := newUnion(t, base...)
			layer := u.scan(c.layer)
			if err := checkApply(u.FS, u.o.Lower, layer, u.pool); err != nil {
				t.Error(err)
			}
			for id := range u.table.nodes {
				if refs := u.ref(id, 0); refs != 0 {
					t.Errorf("%d references are left on %d", refs, id)
				}
			}
			u.settle()
		})
	}
}

func (u *union) scan(entries []lowerEntry) *tarindex.Index {
	u.t.Helper()
	l, err := tarindex.Scan(context.Background(), bytes.NewReader(writeTar(u.t, entries)), u.pool, io.Discard, tarindex.ScanOptions{})
	u.ok(err)
	var b bytes.Buffer
	u.ok(l.WriteIndex(&b))
	x, err := tarindex.Parse(b.Bytes())
	u.ok(err)
	return x
}

// Random layers, over random lowers that have seen random changes.
func TestApplyRandom(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4, 5, 6, 7, 8, uint64(time.Now().UnixNano()) % 1_000_000_000}
	if s := os.Getenv("LAYERFS_MODEL"); s != "" {
		for i := range 500 {
			seeds = append(seeds, seeds[8]+uint64(i)+1)
		}
	}
	for _, seed := range seeds {
		g := newGenerator(seed)
		u := newUnion(t, g.lower(40).entries()...)
		for range 4 {
			entries := g.layer(30)
			before, err := viewUnion(u.FS)
			u.ok(err)
			if err := u.applyOnTop(u.scan(entries)); err != nil {
				var list strings.Builder
				for _, e := range entries {
					fmt.Fprintf(&list, "  %c %q -> %q\n", e.Typeflag, e.Name, e.Linkname)
				}
				for _, p := range slices.Sorted(maps.Keys(before)) {
					fmt.Fprintf(&list, "  before: %q %o %s\n", p, before[p].Mode, before[p].Names)
				}
				t.Fatalf("seed %d: %v\nthe layer is\n%s", seed, err, list.String())
			}
		}
		u.settle()
	}
}

// applyOnTop applies a layer to a union in any state: what it shows before is
// the chain that Merge is asked about.
func (u *union) applyOnTop(layer *tarindex.Index) error {
	diff, err := checkDiff(u.FS, u.pool)
	if err != nil {
		return fmt.Errorf("before: %w", err)
	}
	top, err := scanLayer(diff, u.pool)
	if err != nil {
		return err
	}
	chain, err := mergeLayer(u.o.Lower, top)
	if err != nil {
		return err
	}
	return checkApply(u.FS, chain, layer, u.pool)
}

// layer makes the entries of a random layer, odd ones among them.
func (g *generator) layer(size int) []lowerEntry {
	path := func() string {
		p := g.name()
		for range g.IntN(3) {
			p += "/" + g.name()
		}
		return p
	}
	var entries []lowerEntry
	for range size {
		p := path()
		var e lowerEntry
		switch g.IntN(12) {
		case 0, 1:
			e = dir(p)
		case 2, 3:
			e = whiteout(p)
		case 4:
			e = opaque(p)
		case 5, 6:
			e = link(p, path())
		case 7:
			e = symlink(p, pick(g, "a", "../b", "/c/d"))
		case 8:
			e = special(p, pick[byte](g, tar.TypeChar, tar.TypeBlock, tar.TypeFifo), 3, 4)
		default:
			e = file(p, string(g.bytes(g.size())))
			if g.IntN(3) == 0 {
				e = e.with(withXattr(g.xattrName(), "layer"))
			}
		}
		if e.Typeflag != tar.TypeLink && !strings.Contains(e.Name, ".wh.") {
			t := g.time()
			e.Mode, e.Uid, e.Gid, e.ModTime = int64(g.perm()), int(g.owner()), int(g.owner()), time.Unix(t.Sec, int64(t.Nsec))
		}
		entries = append(entries, e)
	}
	return entries
}

func TestApplyToNothing(t *testing.T) {
	u := newUnion(t, sample()...)
	layer := u.scan([]lowerEntry{file("x", "y")})
	u.unmount()
	u.o.Upper, u.o.Work = "", ""
	u.mount()
	u.fails(syscall.EROFS, u.Apply(context.Background(), layer))
}

func TestApplyNamesWhatItCannot(t *testing.T) {
	u := newUnion(t, sample()...)
	layer := u.scan([]lowerEntry{file("etc/bad", "content that is going to be lost")})
	for h := range layer.Contents() {
		u.ok(os.Remove(u.pool.path(h)))
	}
	err := u.Apply(context.Background(), layer)
	if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "/etc/bad") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := u.Apply(ctx, layer); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
