package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// tarSource is an uncompressed tar on disk, read once to learn where its members are:
//
//	name ──► member{offset, size}          files are sections of the one open tar
//	     └─► member{link: other name}      links are looked up in the same table
//
// The file is read with pread alone, so members can be read side by side.
type tarSource struct {
	f       *os.File
	members map[string]member
	unended bool // no end-of-archive mark: files may be missing at the end
	budget
}

type member struct {
	kind   byte // tar.TypeReg, TypeLink, TypeSymlink, TypeDir; 0 for what no image needs (devices, sparse files)
	off    int64
	size   int64
	target string // of links: the cleaned name from the root
}

// indexTar reads all headers of f. On success f belongs to the source and is closed with it.
func indexTar(f *os.File) (*tarSource, error) {
	s := &tarSource{f: f, members: make(map[string]member), budget: maxDocuments}
	tr := tar.NewReader(f)
	var end int64 // of the last member with its padding
	var paths int // bytes
	for {
		hdr, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, s.headerError(err, end)
		}
		if len(s.members) == maxMembers {
			return nil, fmt.Errorf("%w: more than %d files in the archive", ErrTooLarge, maxMembers)
		}
		// The reader does not read ahead, so the file stands at the member's first byte.
		off, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		end = off
		m := newMember(hdr, off)
		if m.kind == tar.TypeReg {
			end += (m.size + 511) &^ 511
		}
		// Of several members of one name the last is what extraction would leave.
		name := clean(hdr.Name)
		if paths += len(name) + len(m.target); paths > maxPaths {
			return nil, fmt.Errorf("%w: the names of the files in the archive have more than %d bytes; this is not an image that any tool made", ErrTooLarge, maxPaths)
		}
		s.members[name] = m
	}
	if len(s.members) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrNotArchive)
	}
	pos, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	s.unended = pos < end+1024
	return s, nil
}

// headerError tells a file that never was a tar from one that is cut off or damaged.
func (s *tarSource) headerError(err error, off int64) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) && len(s.members) > 0:
		return fmt.Errorf("%w: the file ends within a member after byte %d; copy or download it again", ErrTruncated, off)
	case errors.Is(err, tar.ErrHeader), errors.Is(err, io.ErrUnexpectedEOF):
		if len(s.members) == 0 {
			return fmt.Errorf("%w: no tar header at its start; give a docker-archive, an OCI layout or a tar of one", ErrNotArchive)
		}
		return fmt.Errorf("%w: bad tar header after byte %d; copy or download it again", ErrDamaged, off)
	}
	return err
}

func newMember(hdr *tar.Header, off int64) member {
	switch hdr.Typeflag {
	case tar.TypeReg:
		if sparse(hdr) {
			return member{}
		}
		return member{kind: tar.TypeReg, off: off, size: hdr.Size}
	case tar.TypeLink:
		return member{kind: tar.TypeLink, target: clean(hdr.Linkname)}
	case tar.TypeSymlink:
		target := hdr.Linkname
		if !path.IsAbs(target) {
			target = path.Dir(clean(hdr.Name)) + "/" + target
		}
		return member{kind: tar.TypeSymlink, target: path.Clean(strings.TrimLeft(target, "/"))}
	case tar.TypeDir:
		return member{kind: tar.TypeDir}
	}
	return member{}
}

// sparse members are maps of fragments, not sections of the file; no image tool writes them.
func sparse(hdr *tar.Header) bool {
	for k := range hdr.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return hdr.Typeflag == tar.TypeGNUSparse
}

// clean gives a member's name its one form: relative, no "." and no ".." within. A name that leaves the
// root keeps its leading ".." and is found by nobody.
func clean(name string) string { return path.Clean(strings.TrimLeft(name, "/")) }

func (s *tarSource) open(name string) (file, error) {
	m, err := s.resolve(clean(name))
	if err != nil {
		return nil, err
	}
	if m.kind != tar.TypeReg {
		return nil, fmt.Errorf("%w: %s is not a plain regular file; repack the archive without --sparse", ErrDamaged, name)
	}
	return section{io.NewSectionReader(s.f, m.off, m.size)}, nil
}

// resolve follows links, also those in the middle of a name, until a member without a target is reached.
func (s *tarSource) resolve(name string) (member, error) {
	at := name
	for range maxHops {
		m, ok := s.members[at]
		if ok && m.target == "" {
			return m, nil
		}
		next := m.target
		if !ok {
			if next, ok = s.throughLinkedDir(at); !ok {
				return member{}, fs.ErrNotExist
			}
		}
		if next == ".." || strings.HasPrefix(next, "../") {
			return member{}, fmt.Errorf("%w: %s leads out of the archive", ErrLink, name)
		}
		at = next
	}
	return member{}, fmt.Errorf("%w: the links of %s never end", ErrLink, name)
}

// throughLinkedDir replaces the outermost leading directory of name that is a symlink by its target.
func (s *tarSource) throughLinkedDir(name string) (string, bool) {
	for i, c := range name {
		if c != '/' {
			continue
		}
		if m, ok := s.members[name[:i]]; ok && m.kind == tar.TypeSymlink {
			return path.Join(m.target, name[i:]), true
		}
	}
	return "", false
}

func (s *tarSource) glob(pattern string) ([]string, error) {
	var names []string
	for name := range s.members {
		ok, err := path.Match(pattern, name)
		if err != nil {
			return nil, err
		}
		if ok {
			names = append(names, name)
		}
	}
	return names, nil
}

func (s *tarSource) hint() string {
	if s.unended {
		return "; the archive has no end mark and is probably cut off: copy or download it again"
	}
	return ""
}

func (s *tarSource) Close() error { return s.f.Close() }

type section struct{ *io.SectionReader }

func (section) Close() error { return nil }
