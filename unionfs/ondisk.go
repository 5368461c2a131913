package unionfs

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// The extended attributes with a meaning of their own in the upper; doc.go
// tells which object has which.
const (
	xattrOpaque   = "user.overlay.opaque"
	xattrRedirect = "user.overlay.redirect"
	xattrMetacopy = "user.overlay.metacopy"
	xattrWhiteout = "user.overlay.whiteout"
	xattrOverride = "user.containers.override_stat"
	xattrOrigin   = "user.layerfs.origin"
	xattrOwner    = "user.layerfs.owner" // of the upper's root
	xattrMoved    = "user.layerfs.moved" // of the upper's root
)

// maxRedirect is the longest redirect that is written; overlayfs reads no
// longer ones. A directory with a longer lower path is marked with its origin.
const maxRedirect = 256

// meta is what the union shows of an object and what the backing inode need not
// have: type, permissions, owner, device number.
type meta struct {
	mode, uid, gid, major, minor uint32
}

func (m meta) typ() uint32   { return m.mode & unix.S_IFMT }
func (m meta) isDir() bool   { return m.typ() == unix.S_IFDIR }
func (m meta) isReg() bool   { return m.typ() == unix.S_IFREG }
func (m meta) hasPriv() bool { return m.mode&unix.S_ISUID != 0 || m.sgidPriv() }

// sgidPriv tells a set-group-id program from a file with mandatory locking.
func (m meta) sgidPriv() bool { return m.mode&(unix.S_ISGID|unix.S_IXGRP) == unix.S_ISGID|unix.S_IXGRP }

// withoutPriv returns m as a write by someone without CAP_FSETID leaves it.
func (m meta) withoutPriv() meta {
	if m.sgidPriv() {
		m.mode &^= unix.S_ISGID
	}
	m.mode &^= unix.S_ISUID
	return m
}

func lowerMeta(a tarindex.Attr) meta {
	return meta{mode: a.Mode, uid: a.UID, gid: a.GID, major: a.Major, minor: a.Minor}
}

// backingPerm returns the permission bits of the backing inode: the shown ones,
// so that other readers of the upper find them, but never so that we could not
// open our own file, and never setuid, for the backing owner is someone else.
func (m meta) backingPerm() uint32 {
	switch m.typ() {
	case unix.S_IFDIR:
		return m.mode&0o777 | 0o700
	case unix.S_IFREG:
		return m.mode&0o777 | 0o600
	}
	return 0o600 // a stub
}

// owner is whom files without an override_stat belong to.
type owner struct{ uid, gid uint32 }

func (o owner) String() string { return fmt.Sprintf("%d:%d", o.uid, o.gid) }

func parseOwner(s string) (owner, error) {
	uid, gid, ok := strings.Cut(s, ":")
	u, err1 := strconv.ParseUint(uid, 10, 32)
	g, err2 := strconv.ParseUint(gid, 10, 32)
	if !ok || err1 != nil || err2 != nil {
		return owner{}, fmt.Errorf("%s %q: want uid:gid", xattrOwner, s)
	}
	return owner{uint32(u), uint32(g)}, nil
}

// needsOverride reports whether the backing inode alone would be read as
// something else than m.
func (o owner) needsOverride(m meta) bool {
	return !m.isDir() && !m.isReg() || m.uid != o.uid || m.gid != o.gid || m.mode&0o7777 != m.backingPerm()
}

// override formats m as containers/storage does: uid:gid:mode:type.
func (m meta) override() string {
	var typ string
	switch m.typ() {
	case unix.S_IFDIR:
		typ = "dir"
	case unix.S_IFLNK:
		typ = "symlink"
	case unix.S_IFIFO:
		typ = "pipe"
	case unix.S_IFSOCK:
		typ = "socket"
	case unix.S_IFCHR:
		typ = fmt.Sprintf("char-%d-%d", m.major, m.minor)
	case unix.S_IFBLK:
		typ = fmt.Sprintf("block-%d-%d", m.major, m.minor)
	default:
		typ = "file"
	}
	return fmt.Sprintf("%d:%d:%04o:%s", m.uid, m.gid, m.mode&0o7777, typ)
}

// parseOverride is the inverse of override. A value without a type (older
// writers) has the type of the backing inode.
func parseOverride(s string, backing uint32) (meta, error) {
	bad := fmt.Errorf("%s %q: want uid:gid:mode:type", xattrOverride, s)
	parts := strings.Split(s, ":")
	if len(parts) != 3 && len(parts) != 4 {
		return meta{}, bad
	}
	uid, err1 := strconv.ParseUint(parts[0], 10, 32)
	gid, err2 := strconv.ParseUint(parts[1], 10, 32)
	mode, err3 := strconv.ParseUint(parts[2], 8, 32)
	if err1 != nil || err2 != nil || err3 != nil || mode > 0o7777 {
		return meta{}, bad
	}
	m := meta{mode: uint32(mode), uid: uint32(uid), gid: uint32(gid)}
	if len(parts) == 3 {
		m.mode |= backing & unix.S_IFMT
		return m, nil
	}
	kind, dev, isDev := strings.Cut(parts[3], "-")
	typ, ok := map[string]uint32{
		"file": unix.S_IFREG, "dir": unix.S_IFDIR, "symlink": unix.S_IFLNK, "pipe": unix.S_IFIFO,
		"socket": unix.S_IFSOCK, "char": unix.S_IFCHR, "block": unix.S_IFBLK,
	}[kind]
	if !ok || isDev != (typ == unix.S_IFCHR || typ == unix.S_IFBLK) {
		return meta{}, bad
	}
	m.mode |= typ
	if isDev {
		major, minor, _ := strings.Cut(dev, "-")
		a, err1 := strconv.ParseUint(major, 10, 32)
		b, err2 := strconv.ParseUint(minor, 10, 32)
		if err1 != nil || err2 != nil {
			return meta{}, bad
		}
		m.major, m.minor = uint32(a), uint32(b)
	}
	return m, nil
}

// Names of extended attributes, as shown and as stored. Only the user namespace
// can be written without privilege, so the others have a place in it; and what
// a user calls by a name with a meaning to a union is stored under another one,
// so that nobody can forge our marks, and a union can be kept inside a union.
const (
	securityPrefix = "user.containers.override_" // + security.*
	overridePrefix = "user.layerfs.override_"    // + trusted.*, system.*, ...
	escapePrefix   = "user.layerfs.escape."      // + what follows "user."
)

var privatePrefixes = []string{"user.overlay.", "user.containers.", "user.layerfs.", "user.fuseoverlayfs."}

func isPrivate(name string) bool {
	for _, p := range privatePrefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// storedName returns the name under which the xattr name is stored.
func storedName(name string) string {
	switch {
	case isPrivate(name):
		return escapePrefix + strings.TrimPrefix(name, "user.")
	case strings.HasPrefix(name, "user."):
		return name
	case strings.HasPrefix(name, "security."):
		return securityPrefix + name
	}
	return overridePrefix + name
}

// shownName is the inverse of storedName; false for what is not shown: our
// marks, and what the backing file system or the host's policy adds.
func shownName(stored string) (string, bool) {
	if s, ok := strings.CutPrefix(stored, escapePrefix); ok {
		return "user." + s, true
	}
	if s, ok := strings.CutPrefix(stored, overridePrefix); ok {
		return s, true
	}
	if s, ok := strings.CutPrefix(stored, securityPrefix); ok && strings.HasPrefix(s, "security.") {
		return s, true
	}
	return stored, strings.HasPrefix(stored, "user.") && !isPrivate(stored)
}

func formatOrigin(i tarindex.Ino) []byte { return strconv.AppendUint(nil, uint64(i), 10) }

func parseOrigin(b []byte, count int) (tarindex.Ino, error) {
	v, err := strconv.ParseUint(string(b), 10, 32)
	if err != nil || v >= uint64(min(count, math.MaxUint32)) {
		return 0, fmt.Errorf("%s %q: not an inode of the lower", xattrOrigin, b)
	}
	return tarindex.Ino(v), nil
}
