package store

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/internal/pack"
	"github.com/layerfs/layerfs/tarindex"
)

// packSet is the packs of a store that this process has open: what a lookup needs, so that it needs no system call.
//
// The directory packs/ is the truth, and others change it: an import adds a pack, a collection puts a new one in the
// place of old ones. So who finds nothing looks whether the directory has changed, opens what is new and lets go of what
// is gone. What was removed meanwhile stays readable for who has it open, and whatever a collection kept is in a pack
// that came before the old one went.
type packSet struct {
	dir string

	last    atomic.Pointer[openPack] // that answered last: files of one layer are read together
	mu      sync.RWMutex             // for all below; held alone by refresh
	open    []*openPack              // newest first
	damaged []error                  // one for each pack that cannot be used
	changed time.Time                // of the directory, when it was listed; zero: list it again in any case
}

// recent is how old a change of a directory must be, at least, to be told by its time from one that follows: some file
// systems keep seconds only.
const recent = 2 * time.Second

// An openPack is shared by the set and by who reads from it, and closed by the last of them.
type openPack struct {
	*pack.Pack
	name  string
	info  os.FileInfo
	users atomic.Int32
}

func (p *openPack) release() {
	if p.users.Add(-1) == 0 {
		_ = p.Close()
	}
}

// still tells whether path is the file that is open, in its full length: an import may have put a whole one in the place
// of one that somebody cut off.
func (p *openPack) still(path string) bool {
	fi, err := os.Lstat(path)
	return err == nil && os.SameFile(fi, p.info) && fi.Size() == p.Size()
}

// dup gives a descriptor of the pack that the caller closes.
func (p *openPack) dup() (*os.File, error) {
	fd, err := unix.FcntlInt(p.File().Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	return os.NewFile(uintptr(fd), p.File().Name()), nil
}

// anySize is the size for who knows only the hash of a content.
const anySize = -1

// find looks into the packs that are open. The caller releases the pack; nil: none of them has the content.
func (ps *packSet) find(h tarindex.Hash, size int64) (*openPack, pack.Entry) {
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	last := ps.last.Load()
	if last != nil {
		if e, ok := last.holds(h, size); ok {
			last.users.Add(1)
			return last, e
		}
	}
	for _, p := range ps.open {
		if p == last {
			continue
		}
		if e, ok := p.holds(h, size); ok {
			p.users.Add(1)
			ps.last.Store(p)
			return p, e
		}
	}
	return nil, pack.Entry{}
}

func (p *openPack) holds(h tarindex.Hash, size int64) (pack.Entry, bool) {
	off, n, ok := p.Find(h)
	return pack.Entry{Hash: h, Off: off, Size: n}, ok && (n == size || size == anySize)
}

// has is find for who only wants to know.
func (ps *packSet) has(h tarindex.Hash, size int64) bool {
	p, _ := ps.find(h, size)
	if p != nil {
		p.release()
	}
	return p != nil
}

// lookup is find, and once more if the directory has changed. The caller releases the pack; nil: no pack has the
// content.
func (ps *packSet) lookup(h tarindex.Hash, size int64) (*openPack, pack.Entry, error) {
	p, e := ps.find(h, size)
	if p != nil {
		return p, e, nil
	}
	if err := ps.refresh(false); err != nil {
		return nil, e, err
	}
	p, e = ps.find(h, size)
	return p, e, nil
}

// each calls f for every pack that there is and that can be used.
func (ps *packSet) each(f func(*openPack)) error {
	if err := ps.refresh(true); err != nil {
		return err
	}
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	for _, p := range ps.open {
		f(p)
	}
	return nil
}

// refresh makes the set what the directory is. Unless it is forced it trusts the time of the directory.
func (ps *packSet) refresh(force bool) error {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for range 100 {
		fi, err := os.Stat(ps.dir)
		if err == nil && !force && fi.ModTime().Equal(ps.changed) {
			return nil
		}
		var names []string
		if err == nil {
			names, err = listDir(ps.dir)
		}
		if err != nil && !gone(err) {
			return err
		}
		if err := ps.become(names); !gone(err) {
			ps.changed = time.Time{}
			if err == nil && fi != nil && time.Since(fi.ModTime()) > recent {
				ps.changed = fi.ModTime()
			}
			return err
		}
		// A pack went between list and open: the one that replaces it is in the next list.
		force = true
	}
	return fmt.Errorf("%s changes all the time; try again", ps.dir)
}

// become opens and closes until the packs of those names are open. fs.ErrNotExist: one is not there any more.
func (ps *packSet) become(names []string) error {
	have := map[string]*openPack{}
	for _, p := range ps.open {
		have[p.name] = p
	}
	var open []*openPack
	ps.damaged = nil
	for _, name := range names {
		p := have[name]
		if p == nil || !p.still(ps.dir+"/"+name) {
			var err error
			if p, err = openPackFile(ps.dir, name); errors.Is(err, ErrCorrupt) {
				ps.damaged = append(ps.damaged, err)
				continue
			} else if err != nil {
				ps.set(append(open, ps.open...)) // nothing is lost
				return err
			}
		}
		open = append(open, p)
	}
	ps.set(open)
	return nil
}

// set puts open in the place of what the set has, and lets go of what is not among them.
func (ps *packSet) set(open []*openPack) {
	slices.SortStableFunc(open, func(a, b *openPack) int { return b.info.ModTime().Compare(a.info.ModTime()) })
	keep := map[*openPack]bool{}
	open = slices.DeleteFunc(open, func(p *openPack) bool { twice := keep[p]; keep[p] = true; return twice })
	for _, p := range ps.open {
		if !keep[p] {
			ps.last.CompareAndSwap(p, nil)
			p.release()
		}
	}
	ps.open = open
}

// close lets go of all packs.
func (ps *packSet) close() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.set(nil)
	ps.changed = time.Time{}
}

// openPackFile opens a pack and verifies its table against its name: what a damaged table would say is worse than
// nothing. It is a millisecond for 20,000 contents. The error is ErrCorrupt or that of the system.
func openPackFile(dir, name string) (*openPack, error) {
	path := dir + "/" + name
	p, err := pack.Open(path)
	if err == nil {
		if err = p.VerifyTable(); err == nil && p.Name() != name {
			err = fmt.Errorf("%w: by its table its name should be %s", pack.ErrCorrupt, p.Name())
		}
		if err != nil {
			_ = p.Close()
		}
	}
	switch {
	case errors.Is(err, pack.ErrCorrupt):
		return nil, corrupt(path, "%v", err)
	case err != nil:
		return nil, err
	}
	o := &openPack{Pack: p, name: name}
	if o.info, err = p.File().Stat(); err != nil {
		_ = p.Close()
		return nil, err
	}
	o.users.Store(1)
	return o, nil
}
