package unionfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// A runner runs operations on a union and on the model of it side by side.
type runner struct {
	*FS
	o    Options
	pool pool
	m    *model
	open [slots]*mnode // files held open: with one reference on each
	poor int           // what the file system of the upper shall be unable to do

	// Of the operation that runs now.
	ids   map[*mnode]uint64 // what it has looked up, with a reference on each
	start time.Time
}

// errSkip: the operation means nothing in this state.
var errSkip = errors.New("skip")

// newRunner makes a union over the given lower in the empty directory top.
func newRunner(top string, lower *tarindex.Index, p pool, m *model, poor int) (*runner, error) {
	r := &runner{pool: p, m: m, poor: poor}
	r.o = Options{Lower: lower, Open: p.open, Upper: filepath.Join(top, "upper"), Work: filepath.Join(top, "work"), Volatile: true}
	if err := errors.Join(os.Mkdir(r.o.Upper, 0o755), os.Mkdir(r.o.Work, 0o755)); err != nil {
		return nil, err
	}
	return r, r.mount()
}

func (r *runner) mount() (err error) {
	if r.FS, err = New(r.o); err == nil {
		r.xattrWhiteouts = r.xattrWhiteouts || r.poor == 2
		r.noRenameWhiteout = r.noRenameWhiteout || r.poor >= 1
	}
	return err
}

func (r *runner) remount() error {
	if err := r.Close(); err != nil {
		return err
	}
	clear(r.open[:])
	if err := r.mount(); err != nil {
		return fmt.Errorf("remount: %w", err)
	}
	if left, err := os.ReadDir(r.o.Work); err != nil || len(left) > 0 {
		return fmt.Errorf("left in the work directory: %v, %v", left, err)
	}
	return nil
}

// step runs o, and compares the error and all objects that it was about.
func (r *runner) step(o op) error {
	r.ids, r.start = make(map[*mnode]uint64), time.Now()
	want, got, err := r.do(o)
	if errors.Is(err, errSkip) {
		err = nil
	}
	if err == nil {
		err = sameErrno(want, got)
	}
	for n, id := range r.ids {
		if err == nil {
			err = r.settle(n, id)
		}
	}
	for _, id := range r.ids {
		if id != RootID {
			r.Forget(id, 1)
		}
	}
	return err
}

func sameErrno(want syscall.Errno, got error) error {
	if want == 0 && got == nil || want != 0 && got != nil && errors.Is(got, want) {
		return nil
	}
	return fmt.Errorf("the error is %v, want %v (%s)", got, want, unix.ErrnoName(want))
}

// settle compares n with what the union shows of it, and learns from it what
// only it can know: the time of the operation, the number of a new inode.
func (r *runner) settle(n *mnode, id uint64) error {
	g, err := seeUnion(r.FS, id)
	if err != nil {
		return fmt.Errorf("%v: %w", n, err)
	}
	if n.ino == 0 {
		n.ino = g.Ino
	}
	now := n.touched || n.drifted && g.Mtime != n.mtime
	if t := time.Unix(g.Mtime.Sec, int64(g.Mtime.Nsec)); now {
		const coarse = 5 * time.Second // the clock of file systems ticks slowly
		if t.Before(r.start.Add(-coarse)) || t.After(time.Now().Add(coarse)) {
			return fmt.Errorf("%v: mtime %v, want about %v", n, t, r.start)
		}
		n.utimens(g.Mtime)
	}
	n.drifted = false
	if n.isDir() && n.removed() {
		n.mtime = g.Mtime // whiteouts that were left in it are removed some time later
	}
	if want := n.see(); want != g {
		return fmt.Errorf("seen\n  %+v\nwant\n  %+v", g, want)
	}
	return nil
}

// hold remembers a reference on id.
func (r *runner) hold(n *mnode, id uint64) error {
	if n.ino != 0 && n.ino != id {
		return fmt.Errorf("the inode number is %d, want %d", id, n.ino)
	}
	if _, ok := r.ids[n]; ok && id != RootID {
		r.Forget(id, 1)
	}
	r.ids[n] = id
	return nil
}

// find resolves a path or slot in both.
func (r *runner) find(p string) (*mnode, uint64, error) {
	if slot, ok := strings.CutPrefix(p, "#"); ok {
		i, err := strconv.Atoi(slot)
		if err != nil || r.open[i] == nil {
			return nil, 0, errSkip
		}
		n := r.open[i]
		r.ref(n.ino, 1)
		return n, n.ino, r.hold(n, n.ino)
	}
	n, id := r.m.root, uint64(RootID)
	if err := r.hold(n, id); err != nil {
		return nil, 0, err
	}
	for name := range strings.SplitSeq(strings.Trim(p, "/"), "/") {
		if name == "" {
			break
		}
		c, errno := n.child(name)
		e, err := r.Lookup(id, name)
		if err := sameErrno(errno, err); err != nil {
			return nil, 0, fmt.Errorf("lookup of %q in %s: %w", name, p, err)
		}
		if errno != 0 {
			return nil, 0, errSkip
		}
		if err := r.hold(c, e.ID); err != nil {
			return nil, 0, fmt.Errorf("%q in %s: %w", name, p, err)
		}
		n, id = c, e.ID
	}
	return n, id, nil
}

// made notes a new object.
func (r *runner) made(n *mnode, e Entry, errno syscall.Errno, err error) {
	if err == nil && errno == 0 {
		n.ino = 0
		r.ids[n] = e.ID
	}
}

func (r *runner) do(o op) (want syscall.Errno, got error, err error) {
	a, id, err := r.find(o.a)
	if err != nil {
		return 0, nil, err
	}
	var b *mnode
	var id2 uint64
	if o.b != "" {
		if b, id2, err = r.find(o.b); err != nil {
			return 0, nil, err
		}
	}
	switch o.kind {
	case "mknod", "mkdir", "symlink", "tmpfile", "link":
		want, got = r.create(o, a, id, b, id2)
	case "unlink", "rmdir":
		if err := r.look(a, id, o.name); err != nil {
			return 0, nil, err
		}
		want, got = a.remove(o.name, o.kind == "rmdir"), r.remove(id, o.name, o.kind == "rmdir")
	case "rmtree":
		return 0, nil, r.removeTree(a, id, o.name)
	case "rename":
		if err := errors.Join(r.look(a, id, o.name), r.look(b, id2, o.name2)); err != nil {
			return 0, nil, err
		}
		want, got = rename(a, o.name, b, o.name2, o.mode), r.Rename(id, o.name, id2, o.name2, o.mode)
	case "open":
		r.openSlot(o.n, a, id)
	case "orphan":
		n := a.children[o.name]
		if err := r.look(a, id, o.name); err != nil || n == nil {
			return 0, nil, err
		}
		r.openSlot(o.n, n, r.ids[n])
		want, got = a.remove(o.name, n.isDir()), r.remove(id, o.name, n.isDir())
	case "close":
		r.closeSlot(o.n)
	case "readdir":
		want, got = r.readdir(a, id)
	case "chmod", "chown", "utimens", "setxattr", "removexattr":
		want, got = r.describe(o, a, id)
	default:
		want, got = r.data(o, a, id, b, id2)
	}
	return want, got, nil
}

// look brings what a name leads to under observation.
func (r *runner) look(d *mnode, id uint64, name string) error {
	n := d.children[name]
	if n == nil {
		return nil
	}
	e, err := r.Lookup(id, name)
	if err != nil {
		return fmt.Errorf("lookup %q: %w", name, err)
	}
	return r.hold(n, e.ID)
}

func (r *runner) openSlot(i int64, n *mnode, id uint64) {
	r.closeSlot(i)
	r.ref(id, 1)
	r.open[i] = n
}

func (r *runner) closeSlot(i int64) {
	if n := r.open[i]; n != nil {
		r.Forget(n.ino, 1)
		r.open[i] = nil
	}
}

func (r *runner) create(o op, a *mnode, id uint64, b *mnode, id2 uint64) (want syscall.Errno, err error) {
	var e Entry
	c := Cred{UID: o.uid, GID: o.gid}
	var n *mnode
	switch o.kind {
	case "mknod":
		n = newMnode(o.mode, o.uid, o.gid)
		if typ := n.typ(); typ == unix.S_IFCHR || typ == unix.S_IFBLK {
			n.major, n.minor = o.uid, o.gid
		}
		want = a.create(o.name, n)
		e, err = r.Mknod(c, id, o.name, o.mode, o.uid, o.gid)
	case "mkdir":
		n = newMnode(unix.S_IFDIR|o.mode, o.uid, o.gid)
		want = a.create(o.name, n)
		e, err = r.Mkdir(c, id, o.name, o.mode)
	case "symlink":
		n = newMnode(unix.S_IFLNK|0o777, o.uid, o.gid)
		n.target = o.text
		want = a.create(o.name, n)
		e, err = r.Symlink(c, id, o.name, o.text)
	case "tmpfile":
		n = newMnode(unix.S_IFREG|o.mode, o.uid, o.gid)
		n.linkable = true
		if want = syscall.ENOTDIR; a.isDir() {
			if want = 0; a.removed() {
				want = syscall.ENOENT
			}
			n.inherit(a)
		}
		if e, err = r.Tmpfile(c, id, o.mode); err == nil {
			r.closeSlot(o.n)
			r.open[o.n], n.ino = n, e.ID
			r.ref(e.ID, 1)
			r.ids[n] = e.ID
		}
		return want, err
	case "link":
		want = a.link(b, o.name2)
		if e, err = r.Link(id, id2, o.name2); err == nil {
			r.Forget(e.ID, 1)
		}
		return want, err
	}
	r.made(n, e, want, err)
	return want, err
}

// removeTree removes name and all below it, as rm -r.
func (r *runner) removeTree(d *mnode, id uint64, name string) error {
	n := d.children[name]
	if n == nil {
		return errSkip
	}
	if err := r.look(d, id, name); err != nil {
		return err
	}
	for below := range n.children {
		if err := r.removeTree(n, r.ids[n], below); err != nil {
			return err
		}
	}
	return sameErrno(d.remove(name, n.isDir()), r.remove(id, name, n.isDir()))
}

func (r *runner) readdir(d *mnode, id uint64) (syscall.Errno, error) {
	var names []string
	err := r.Readdir(id, 0, false, func(e DirEntry, _ *Entry) bool {
		names = append(names, e.Name)
		return true
	})
	if !d.isDir() {
		return syscall.ENOTDIR, err
	}
	want := []string{".", ".."}
	for name := range d.children {
		want = append(want, name)
	}
	slices.Sort(names)
	slices.Sort(want)
	if err == nil && !slices.Equal(names, want) {
		err = fmt.Errorf("listed %q, want %q", names, want)
	}
	return 0, err
}

func (r *runner) describe(o op, n *mnode, id uint64) (want syscall.Errno, err error) {
	switch o.kind {
	case "chmod":
		n.chmod(o.mode)
		_, err = r.Setattr(nil, id, SetAttr{Valid: SetMode, Mode: o.mode})
	case "chown":
		n.chown(o.uid, o.gid)
		_, err = r.Setattr(nil, id, SetAttr{Valid: SetUID | SetGID, UID: o.uid, GID: o.gid})
	case "utimens":
		n.utimens(o.t)
		_, err = r.Setattr(nil, id, SetAttr{Valid: SetAtime | SetMtime, Atime: o.t, Mtime: o.t})
	case "setxattr":
		want = n.setxattr(o.name, o.text, int(o.mode))
		err = r.Setxattr(id, o.name, []byte(o.text), o.mode, false)
	case "removexattr":
		want = n.removexattr(o.name)
		err = r.Removexattr(id, o.name)
	}
	return want, err
}
