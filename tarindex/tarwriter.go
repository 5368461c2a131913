package tarindex

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// ErrSocket: a tar has no type for sockets.
var ErrSocket = errors.New("a tar cannot hold a socket")

// ErrXattr: a PAX record is KEY=VALUE, and a "=" of the key cannot be quoted.
var ErrXattr = errors.New(`a tar cannot hold an extended attribute with "=" in its name; remove it`)

// ErrTime: the one second that archive/tar cannot write, 0001-01-01 00:00:00 UTC.
var ErrTime = errors.New("a modification time of 0001-01-01 00:00:00 UTC cannot be written; touch the file")

// A TarWriter writes a layer tar. The same calls give the same bytes: nothing
// of the machine, its users or the time of day is in it. Entries are ustar, with
// a PAX header where an entry needs one and only there: for nanoseconds and times
// before 1970, long or non-ASCII names, extended attributes, big numbers. Names
// that are no UTF-8 are marked with hdrcharset=BINARY, as POSIX has it.
//
// The caller decides the order: the directories before what is in them, an
// opaque mark first in its directory, a file before its hard links. Paths are
// relative to the root of the tree ("etc/passwd"); "" is the root itself.
type TarWriter struct {
	buf   *bufio.Writer
	tar   *tar.Writer
	clamp *Time
}

// TarOptions are the options of NewTarWriter.
type TarOptions struct {
	// Clamp, if not nil, replaces every later modification time
	// (SOURCE_DATE_EPOCH of reproducible-builds.org).
	Clamp *Time
}

// NewTarWriter returns a TarWriter that writes to w.
func NewTarWriter(w io.Writer, o TarOptions) *TarWriter {
	buf := bufio.NewWriterSize(w, 128<<10)
	return &TarWriter{buf: buf, tar: tar.NewWriter(buf), clamp: o.Clamp}
}

// Directory writes a directory.
func (w *TarWriter) Directory(path string, a Attr, xattrs []Xattr) error {
	name := path + "/"
	if path == "" {
		name = "./"
	}
	return w.entry(path, tar.Header{Typeflag: tar.TypeDir, Name: name}, a, xattrs)
}

// File writes a regular file of a.Size bytes, which it reads from r. The error
// wraps ErrTruncated if r has less; the tar is of no use then.
func (w *TarWriter) File(path string, a Attr, xattrs []Xattr, r io.Reader) error {
	if err := w.entry(path, tar.Header{Typeflag: tar.TypeReg, Name: path, Size: a.Size}, a, xattrs); err != nil {
		return err
	}
	n, err := io.CopyN(w.tar, r, a.Size)
	if err == io.EOF {
		err = fmt.Errorf("%w: %d bytes instead of %d", ErrTruncated, n, a.Size)
	}
	if err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}

// Symlink writes a symbolic link.
func (w *TarWriter) Symlink(path, target string, a Attr, xattrs []Xattr) error {
	return w.entry(path, tar.Header{Typeflag: tar.TypeSymlink, Name: path, Linkname: target}, a, xattrs)
}

// Link writes a further name of the file whose first name is target. The
// attributes are those of the file; readers take them from its first entry.
func (w *TarWriter) Link(path, target string, a Attr) error {
	return w.entry(path, tar.Header{Typeflag: tar.TypeLink, Name: path, Linkname: target}, a, nil)
}

// Node writes a device or a FIFO, by the type in a.Mode. A socket is ErrSocket.
func (w *TarWriter) Node(path string, a Attr, xattrs []Xattr) error {
	hdr := tar.Header{Name: path}
	switch a.Mode & ModeType {
	case ModeChar:
		hdr.Typeflag = tar.TypeChar
	case ModeBlock:
		hdr.Typeflag = tar.TypeBlock
	case ModeFIFO:
		hdr.Typeflag = tar.TypeFifo
	case ModeSocket:
		return fmt.Errorf("write %q: %w", path, ErrSocket)
	default:
		return fmt.Errorf("write %q: mode %o is of no device", path, a.Mode)
	}
	if hdr.Typeflag != tar.TypeFifo {
		hdr.Devmajor, hdr.Devminor = int64(a.Major), int64(a.Minor)
	}
	return w.entry(path, hdr, a, xattrs)
}

// Whiteout writes a mark that hides path in lower layers.
func (w *TarWriter) Whiteout(path string) error {
	dir, base := splitPath(path)
	if err := checkPath(path); err != nil || path == "" {
		return errors.Join(fmt.Errorf("whiteout %q: %w", path, ErrName), err)
	}
	return w.mark(dir + whiteoutPrefix + base)
}

// Opaque writes a mark that hides what lower layers have in the directory path.
func (w *TarWriter) Opaque(path string) error {
	if err := checkPath(path); err != nil {
		return err
	}
	if path != "" {
		path += "/"
	}
	return w.mark(path + opaqueMarker)
}

// mark writes an empty file that is the same whenever and by whomever it is
// written.
func (w *TarWriter) mark(name string) error {
	hdr := tar.Header{Typeflag: tar.TypeReg, Name: name, ModTime: time.Unix(0, 0)}
	if err := w.tar.WriteHeader(&hdr); err != nil {
		return fmt.Errorf("write %q: %w", name, err)
	}
	return nil
}

// Close writes the end of the archive. It does not close the writer below.
func (w *TarWriter) Close() error {
	if err := w.tar.Close(); err != nil {
		return fmt.Errorf("write the end of the tar: %w", err)
	}
	return w.buf.Flush()
}

// entry completes and writes a header.
func (w *TarWriter) entry(path string, hdr tar.Header, a Attr, xattrs []Xattr) error {
	if err := checkPath(path); err != nil {
		return err
	}
	hdr.Mode = int64(a.Mode & 0o7777)
	hdr.Uid, hdr.Gid = int(a.UID), int(a.GID)
	mtime := a.Mtime
	if w.clamp != nil && mtime.after(*w.clamp) {
		mtime = *w.clamp
	}
	hdr.ModTime = time.Unix(mtime.Sec, int64(mtime.Nsec))
	if hdr.ModTime.IsZero() { // which the library takes for "no time" and writes as 1970
		return fmt.Errorf("write %q: %w", path, ErrTime)
	}
	if mtime.Nsec != 0 {
		hdr.Format = tar.FormatPAX // else the library rounds to seconds
	}
	hdr.PAXRecords = make(map[string]string, len(xattrs))
	for _, x := range xattrs {
		if strings.Contains(x.Name, "=") {
			return fmt.Errorf("write %q: %w: %s", path, ErrXattr, x.Name)
		}
		hdr.PAXRecords[xattrPrefix+x.Name] = string(x.Value)
	}
	if !utf8.ValidString(hdr.Name) || !utf8.ValidString(hdr.Linkname) {
		// PAX says UTF-8 otherwise, and bsdtar drops the target of a link that is something else.
		hdr.PAXRecords["hdrcharset"] = "BINARY"
	}
	if err := w.tar.WriteHeader(&hdr); err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}

func (t Time) after(u Time) bool { return t.Sec > u.Sec || t.Sec == u.Sec && t.Nsec > u.Nsec }

func splitPath(path string) (dir, base string) {
	i := strings.LastIndexByte(path, '/') + 1
	return path[:i], path[i:]
}

// checkPath refuses what would not mean in the layer what it means in the tree,
// above all a file whose name makes it a whiteout.
func checkPath(path string) error {
	if path == "" {
		return nil
	}
	for name := range strings.SplitSeq(path, "/") {
		if !validName(name) {
			return fmt.Errorf("%w: %q", ErrName, path)
		}
	}
	if _, base := splitPath(path); strings.HasPrefix(base, whiteoutPrefix) {
		return fmt.Errorf("%w: %q: names that begin with %q are whiteouts in a layer", ErrName, path, whiteoutPrefix)
	}
	return nil
}
