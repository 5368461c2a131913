package unionfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// An FS is the union of one lower and one upper. All its methods are safe for
// concurrent use. Their errors are syscall.Errno values, or wrap one.
type FS struct {
	lower    *tarindex.Index
	open     func(tarindex.Hash, int64) (*os.File, int64, error)
	volatile bool
	readOnly bool

	owner            owner       // of upper files without an override_stat
	work             *descriptor // O_PATH; nil if readOnly
	xattrWhiteouts   bool        // the upper's file system refuses char 0:0
	noRenameWhiteout bool        // ... has no RENAME_WHITEOUT
	temps            atomic.Uint64
	generation       atomic.Uint64

	mu         sync.RWMutex // the namespace, see doc.go
	root       *node        // nil: there is no upper
	moved      bool         // a merged directory has been renamed, now or in an earlier mount
	movedKnown atomic.Bool  // all such directories are in the table

	table     table
	lowerRefs []atomic.Uint32
	homes     func() []home

	files, dirs *descriptorCache
}

// New opens the union. It prepares the upper directory when it is new, and
// finishes or clears what a killed predecessor left in the work directory.
// A process that serves a mount should have the umask 0; another one costs a
// system call per file and makes the mode of a new file right a moment later.
func New(o Options) (*FS, error) {
	if o.Lower == nil {
		return nil, errors.New("unionfs: Options.Lower is nil; an empty chain has the index of an empty tree")
	}
	f := &FS{
		lower: o.Lower, open: o.Open, volatile: o.Volatile,
		readOnly:  o.Upper == "" || o.ReadOnlyUpper,
		table:     table{nodes: make(map[uint64]*node)},
		lowerRefs: make([]atomic.Uint32, o.Lower.Len()),
		files:     newDescriptorCache(descriptorLimit()),
		dirs:      newDescriptorCache(descriptorLimit()),
	}
	f.homes = sync.OnceValue(f.findHomes)
	if o.Upper == "" {
		return f, nil
	}
	if err := f.openUpper(o); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// descriptorLimit returns how many descriptors a cache may hold: few enough to
// leave most of what the process may open to requests in flight.
func descriptorLimit() int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil || r.Cur > 4096 {
		return 512
	}
	return int(r.Cur / 8)
}

func (f *FS) openUpper(o Options) error {
	upper, err := openPath(o.Upper)
	if err != nil {
		return fmt.Errorf("upper directory: %w", err)
	}
	root := &node{id: RootID, low: int64(tarindex.Root), dir: newDirectory(), pin: upper}
	l := location{d: upper}
	st, err := l.stat()
	if err != nil {
		upper.release()
		return fmt.Errorf("upper directory %s: %w", o.Upper, err)
	}
	root.backing = st.Ino
	fresh, err := f.readOwner(l)
	switch {
	case err != nil:
		upper.release()
		return fmt.Errorf("upper directory %s: %w", o.Upper, err)
	case fresh && f.readOnly: // nothing has ever been written there
		upper.release()
		return nil
	case fresh:
		if err := f.initRoot(l); err != nil {
			upper.release()
			return fmt.Errorf("prepare the upper directory %s: %w", o.Upper, err)
		}
		if st, err = l.stat(); err != nil { // initRoot may have changed its mode
			upper.release()
			return fmt.Errorf("upper directory %s: %w", o.Upper, err)
		}
	}
	f.root = f.table.add(root, place{})
	k, err := f.readMarks(l, &st)
	if err != nil {
		return fmt.Errorf("upper directory %s: %w", o.Upper, err)
	}
	root.meta, root.xattrs, root.caps, root.acl = k.meta, k.xattrs, k.caps, k.acl
	if _, err := l.getxattr(xattrMoved); err == nil {
		f.moved = true
	}
	if f.readOnly {
		return nil
	}
	if f.work, err = openPath(o.Work); err != nil {
		return fmt.Errorf("work directory: %w", err)
	}
	var work unix.Stat_t
	if err := unix.Fstat(f.work.fd, &work); err != nil {
		return fmt.Errorf("work directory %s: %w", o.Work, err)
	}
	if work.Dev != st.Dev {
		return fmt.Errorf("the upper directory %s and the work directory %s are on different file systems: %w", o.Upper, o.Work, syscall.EXDEV)
	}
	if err := f.recover(); err != nil {
		return fmt.Errorf("clear the work directory %s: %w", o.Work, err)
	}
	return nil
}

func openPath(path string) (*descriptor, error) {
	d, err := opened(openat(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY, 0))
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return d, nil
}

// readOwner reads the owner mark of the upper's root, which is set last when an
// upper is prepared; fresh tells that it is not there.
func (f *FS) readOwner(root location) (fresh bool, err error) {
	if _, err := os.Lstat("/proc/self/fd"); err != nil {
		return false, fmt.Errorf("/proc is needed and not mounted: %w", err)
	}
	v, err := root.getxattr(xattrOwner)
	switch {
	case errors.Is(err, syscall.ENODATA):
		f.owner = owner{uint32(os.Geteuid()), uint32(os.Getegid())}
		return true, nil
	case errors.Is(err, syscall.EOPNOTSUPP):
		return false, fmt.Errorf("its file system has no user extended attributes; use ext4, xfs, btrfs or tmpfs (Linux 6.6): %w", err)
	case err != nil:
		return false, err
	}
	if f.owner, err = parseOwner(string(v)); err != nil {
		return false, fmt.Errorf("%w: %w", err, syscall.EIO)
	}
	return false, nil
}

// initRoot makes the upper's root show what the lower's root shows.
func (f *FS) initRoot(l location) error {
	if _, err := f.finishCopy(l, tarindex.Root, f.lowerXattrs(tarindex.Root)); err != nil {
		return err
	}
	return l.setxattr(xattrOwner, []byte(f.owner.String()), 0)
}

// Close makes everything durable (unless Options.Volatile) and releases all
// descriptors. No other method may run or be called after.
func (f *FS) Close() error {
	f.files.clear()
	f.dirs.clear()
	var err error
	if f.root != nil && !f.readOnly && !f.volatile {
		err = f.syncUpper()
	}
	for _, n := range f.table.nodes {
		if n.pin != nil {
			n.pin.release()
		}
	}
	clear(f.table.nodes)
	if f.work != nil {
		f.work.release()
		f.work = nil
	}
	return err
}

// syncUpper writes the whole file system of the upper to disk.
func (f *FS) syncUpper() error {
	dir, err := location{d: f.root.pin}.open(unix.O_RDONLY | unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.Syncfs(int(dir.Fd()))
}

// writable is EROFS for a union without an upper to write to.
func (f *FS) writable() error {
	if f.readOnly {
		return syscall.EROFS
	}
	return nil
}

// timespec converts to what utimensat(2) takes.
func timespec(t Time) unix.Timespec {
	return unix.Timespec{Sec: t.Sec, Nsec: int64(t.Nsec)}
}
