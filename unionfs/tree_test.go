package unionfs

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// tree describes all that can be seen, one line for each path.
func (u *union) tree() map[string]string {
	u.t.Helper()
	all := make(map[string]string)
	a, err := u.Getattr(RootID)
	u.ok(err)
	u.addTree(all, "/", RootID, a)
	return all
}

func (u *union) addTree(all map[string]string, p string, id uint64, a Attr) {
	u.t.Helper()
	line := fmt.Sprintf("%06o %d:%d ino %d nlink %d size %d mtime %d.%09d dev %d:%d", a.Mode, a.UID, a.GID, a.Ino, a.Nlink, a.Size,
		a.Mtime.Sec, a.Mtime.Nsec, a.Major, a.Minor)
	names, err := u.Listxattr(id)
	u.ok(err)
	slices.Sort(names)
	for _, n := range names {
		v, err := u.Getxattr(id, n)
		u.ok(err)
		line += fmt.Sprintf(" %s=%q", n, v)
	}
	switch a.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		target, err := u.Readlink(id)
		u.ok(err)
		line += " -> " + target
	case unix.S_IFREG:
		c := u.content(id)
		if len(c) > 32 {
			c = fmt.Sprintf("%x", sha256.Sum256([]byte(c)))
		}
		line += fmt.Sprintf(" %q", c)
	case unix.S_IFDIR:
		type child struct {
			DirEntry
			e Entry
		}
		var children []child
		u.ok(u.Readdir(id, 0, true, func(d DirEntry, e *Entry) bool {
			if d.Name == "." || d.Name == ".." {
				return true
			}
			if e == nil {
				u.t.Errorf("%s: no attributes of %s", p, d.Name)
				return true
			}
			children = append(children, child{d, *e})
			return true
		}))
		for _, c := range children {
			if c.Ino != c.e.Attr.Ino || c.Ino != c.e.ID || c.Type != c.e.Attr.Mode&unix.S_IFMT {
				u.t.Errorf("%s: entry %+v and attributes %+v differ", p, c.DirEntry, c.e.Attr)
			}
			q := path.Join(p, c.Name)
			if _, ok := all[q]; ok {
				u.t.Errorf("%s is listed twice", q)
			}
			u.addTree(all, q, c.e.ID, c.e.Attr)
			u.Forget(c.e.ID, 1)
		}
	}
	all[p] = line
}

// upperFiles lists what is in the upper, each with its type: f, d, l or w for a
// whiteout.
func (u *union) upperFiles() map[string]string {
	u.t.Helper()
	all := make(map[string]string)
	u.ok(filepath.Walk(u.o.Upper, func(p string, fi os.FileInfo, err error) error {
		if err != nil || p == u.o.Upper {
			return err
		}
		st := fi.Sys().(*syscall.Stat_t)
		kind := map[uint32]string{unix.S_IFREG: "f", unix.S_IFDIR: "d", unix.S_IFLNK: "l", unix.S_IFCHR: "w"}[st.Mode&unix.S_IFMT]
		if _, err := unix.Lgetxattr(p, xattrWhiteout, nil); err == nil {
			kind = "w"
		}
		all[strings.TrimPrefix(p, u.o.Upper)] = kind
		return nil
	}))
	return all
}

func (u *union) upperPath(p string) string { return filepath.Join(u.o.Upper, p) }

// dataBlocks returns how much of a file in the upper takes disk space.
func (u *union) dataBytes(p string) int64 {
	u.t.Helper()
	f, err := os.Open(u.upperPath(p))
	u.ok(err)
	defer f.Close()
	var total int64
	for off := int64(0); ; {
		start, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
		if errors.Is(err, syscall.ENXIO) {
			return total
		}
		u.ok(err)
		end, err := unix.Seek(int(f.Fd()), start, unix.SEEK_HOLE)
		u.ok(err)
		total += end - start
		off = end
	}
}
