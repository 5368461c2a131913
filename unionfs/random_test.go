package unionfs

import (
	"archive/tar"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Random lowers and random operations.

// A generator makes them; what it makes depends on its seed and on the model
// alone.
type generator struct {
	*rand.Rand
	*model
}

func newGenerator(seed uint64) *generator {
	return &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
}

func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

var longName = strings.Repeat("l", 255)

func (g *generator) name() string {
	if g.IntN(40) == 0 {
		return pick(g, "\xff\xfe", longName, "é")
	}
	return string(rune('a' + g.IntN(7)))
}

func (g *generator) owner() uint32 { return pick(g, uint32(0), 0, 12345, 1000, 65534, 4_000_000_000) }

func (g *generator) time() Time {
	return Time{Sec: pick(g, int64(-5), 0, 999_999_999, 1_000_000_000, 1_700_000_000), Nsec: pick(g, uint32(0), 1, 500_000_000, 999_999_999)}
}

func (g *generator) perm() uint32 {
	return pick(g, uint32(0o644), 0o755, 0o600, 0, 0o4755, 0o2755, 0o2644, 0o1777, 0o444, 0o7777)
}

func (g *generator) bytes(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte('A' + (g.Uint32()+uint32(i)>>9)%26)
	}
	if size > 9000 { // a hole
		clear(b[2000:8500])
	}
	return b
}

func (g *generator) size() int {
	return pick(g, 0, 1, 10, 10, 100, 100, 4095, 4096, 5000, 20000)
}

func (g *generator) xattrName() string {
	return pick(g, "user.a", "user.b", "security.capability", "security.x", "trusted.t", "user.overlay.opaque",
		"user.layerfs.origin", "user.containers.override_stat")
}

// newObject makes an inode of a random type, but no directory.
func (g *generator) newObject() *mnode {
	typ := pick[uint32](g, unix.S_IFREG, unix.S_IFREG, unix.S_IFREG, unix.S_IFREG, unix.S_IFLNK, unix.S_IFCHR, unix.S_IFBLK, unix.S_IFIFO)
	n := newMnode(typ|g.perm(), g.owner(), g.owner())
	switch typ {
	case unix.S_IFREG:
		n.data = g.bytes(g.size())
	case unix.S_IFLNK:
		n.mode = typ | 0o777
		n.target = pick(g, "a", "../b/c", "/x/"+strings.Repeat("y", 150))
	case unix.S_IFCHR, unix.S_IFBLK:
		n.major, n.minor = 1+g.Uint32N(300), g.Uint32N(70000)
	}
	return n
}

// lower makes a random tree; its hard-link groups cross directories.
func (g *generator) lower(size int) *model {
	m := &model{root: newMnode(unix.S_IFDIR|0o755, 0, 0)}
	m.root.names = 1
	dirs, files := []*mnode{m.root}, []*mnode{}
	for range size {
		d, name := pick(g, dirs...), g.name()
		if d.children[name] != nil {
			continue
		}
		var n *mnode
		switch r := g.IntN(10); {
		case r < 3:
			n = newMnode(unix.S_IFDIR|g.perm(), g.owner(), g.owner())
			dirs = append(dirs, n)
		case r < 6 && len(files) > 0:
			n = pick(g, files...)
		default:
			n = g.newObject()
			files = append(files, n)
		}
		if n.names == 0 && g.IntN(4) == 0 {
			n.setxattr(g.xattrName(), "lower", 0) // refused for some, which is as good
		}
		d.put(name, n)
	}
	m.each(func(_ string, n *mnode) {
		if n.touched {
			n.utimens(g.time())
		}
	})
	return m
}

// entries writes the model down as the tar of a base layer.
func (m *model) entries() []lowerEntry {
	var entries []lowerEntry
	first := make(map[*mnode]string)
	types := map[uint32]byte{
		unix.S_IFDIR: tar.TypeDir, unix.S_IFREG: tar.TypeReg, unix.S_IFLNK: tar.TypeSymlink,
		unix.S_IFCHR: tar.TypeChar, unix.S_IFBLK: tar.TypeBlock, unix.S_IFIFO: tar.TypeFifo,
	}
	m.each(func(p string, n *mnode) {
		name := "." + p
		if first[n] != "" {
			entries = append(entries, link(name, first[n]))
			return
		}
		e := lowerEntry{body: string(n.data), Header: tar.Header{
			Typeflag: types[n.typ()], Name: name, Linkname: n.target, Mode: int64(n.mode & 0o7777),
			Uid: int(n.uid), Gid: int(n.gid), Size: int64(len(n.data)), Devmajor: int64(n.major), Devminor: int64(n.minor),
			ModTime: time.Unix(n.mtime.Sec, int64(n.mtime.Nsec)), PAXRecords: make(map[string]string),
		}}
		if n.isDir() {
			e.Name += "/"
		} else {
			first[n] = name
		}
		for x, value := range n.xattrs {
			e.PAXRecords["SCHILY.xattr."+x] = value
		}
		entries = append(entries, e)
	})
	return entries
}

// An op is one operation, in terms that mean something in any state: paths, and
// slots that hold open files. So a list of operations from which some have been
// struck out can still be run.
type op struct {
	kind        string
	a, b        string // what it is about: a path, or #N for slot N
	name, name2 string // in the directories a and b
	mode        uint32 // or flags
	uid, gid    uint32
	n, size     int64
	text        string
	flag        bool
	t           Time
}

func (o op) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", o.kind, o.a)
	for _, s := range []string{o.name, o.b, o.name2} {
		if s != "" {
			fmt.Fprintf(&b, " %q", s)
		}
	}
	if len(o.text) > 40 {
		o.text = fmt.Sprintf("%s...(%d)", o.text[:8], len(o.text))
	}
	fmt.Fprintf(&b, " mode %o owner %d:%d n %d size %d text %q flag %v time %v", o.mode, o.uid, o.gid, o.n, o.size, o.text, o.flag, o.t)
	return b.String()
}

const slots = 6

// dir picks a directory: a path, or now and then a slot.
func (g *generator) dir() string {
	if g.IntN(12) == 0 {
		return fmt.Sprintf("#%d", g.IntN(slots))
	}
	return g.path(func(n *mnode) bool { return n.isDir() })
}

// target picks an object in the same way.
func (g *generator) target(want func(*mnode) bool) string {
	if g.IntN(4) == 0 {
		return fmt.Sprintf("#%d", g.IntN(slots))
	}
	if g.IntN(25) == 0 {
		return path.Join(g.dir(), g.name()) // anything, or nothing
	}
	return g.path(want)
}

func (g *generator) path(want func(*mnode) bool) string {
	var paths []string
	g.each(func(p string, n *mnode) {
		if want(n) {
			paths = append(paths, p)
		}
	})
	if len(paths) == 0 {
		return "/"
	}
	return pick(g, paths...)
}

// split cuts a path that path has found; "/" is no name in a directory.
func (g *generator) split(p string) (dir, name string) {
	if p == "/" {
		return p, g.name()
	}
	return path.Dir(p), path.Base(p)
}

// place picks a directory and a name in it, one that exists more often than not.
func (g *generator) place() (string, string) {
	if g.IntN(3) > 0 {
		if p := g.path(func(n *mnode) bool { return n != g.root }); p != "/" {
			return path.Dir(p), path.Base(p)
		}
	}
	if g.IntN(60) == 0 {
		return g.dir(), pick(g, ".wh.a", longName+"l")
	}
	return g.dir(), g.name()
}

func anything(*mnode) bool { return true }

// next makes one operation that suits the state of the model.
func (g *generator) next() op {
	o := op{
		mode: g.perm(), uid: g.owner(), gid: g.owner(), n: int64(g.IntN(6000)), size: int64(g.size()), flag: g.IntN(2) == 0, t: g.time(),
	}
	o.kind = pick(g, "mknod", "mknod", "mkdir", "mkdir", "symlink", "link", "link", "unlink", "unlink", "unlink", "rmdir", "rmdir",
		"rename", "rename", "rename", "rename", "rename", "write", "write", "truncate", "chmod", "chown", "utimens", "setxattr",
		"removexattr", "open", "open", "close", "tmpfile", "read", "seek", "readdir", "punch", "allocate", "copy", "rmtree",
		"orphan", "replace", "replace")
	switch o.kind {
	case "mknod":
		o.a, o.name = g.place()
		n := g.newObject()
		o.mode, o.uid, o.gid = n.mode, n.major, n.minor
		if n.typ() == unix.S_IFLNK {
			o.mode = unix.S_IFREG | 0o640
		}
		if g.IntN(20) == 0 {
			o.mode = unix.S_IFSOCK | 0o755
		}
	case "orphan": // opened and removed
		p := g.path(func(n *mnode) bool { return n != g.root && len(n.children) == 0 })
		o.a, o.name = g.split(p)
		o.n = int64(g.IntN(slots))
	case "replace": // a directory takes the place of an empty one
		p := g.path(func(n *mnode) bool { return n != g.root && n.isDir() })
		q := g.path(func(n *mnode) bool { return n != g.root && n.isDir() && len(n.children) == 0 })
		o.kind, o.mode = "rename", 0
		o.a, o.name = g.split(p)
		o.b, o.name2 = g.split(q)
	case "mkdir", "unlink", "rmdir", "rmtree":
		o.a, o.name = g.place()
		if o.kind != "mkdir" && g.IntN(5) > 0 { // something that fits
			p := g.path(func(n *mnode) bool { return n.isDir() == (o.kind != "unlink") && n != g.root })
			o.a, o.name = g.split(p)
		}
	case "symlink":
		o.a, o.name = g.place()
		o.text = pick(g, "t", "/long/"+strings.Repeat("z", 200))
	case "link":
		o.a = g.target(anything)
		o.b, o.name2 = g.place()
	case "rename":
		o.a, o.name = g.place()
		o.b, o.name2 = g.place()
		o.mode = pick(g, uint32(0), 0, 0, 0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE, unix.RENAME_EXCHANGE, unix.RENAME_WHITEOUT)
	case "write":
		o.a, o.text = g.target((*mnode).isReg), string(g.bytes(1+g.size()/4))
	case "copy":
		o.a, o.b = g.target((*mnode).isReg), g.target((*mnode).isReg)
	case "truncate", "read", "seek", "punch", "allocate":
		o.a = g.target((*mnode).isReg)
	case "chmod", "utimens", "chown", "open", "close":
		o.a, o.n = g.target(anything), int64(g.IntN(slots))
	case "setxattr", "removexattr":
		o.a, o.name, o.text = g.target(anything), g.xattrName(), g.xattrName()
		o.mode = pick(g, uint32(0), 0, 0, unix.XATTR_CREATE, unix.XATTR_REPLACE)
	case "tmpfile":
		o.a, o.n = g.dir(), int64(g.IntN(slots))
	case "readdir":
		o.a = g.dir()
	}
	return o
}
