package tarindex

import (
	"fmt"
	"math"
	"strings"

	"github.com/vbatts/tar-split/archive/tar"
)

// place gives an entry its meaning in the tree. A nameError says that it has
// none; docs/semantics.md has the rules and their reasons.
func (p *parser) place(hdr *tar.Header, kind uint32, content int32) error {
	if hdr.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if kind == 0 && hdr.Typeflag != tar.TypeLink {
		return nameError(fmt.Sprintf("is of type %q, which is no file", hdr.Typeflag))
	}
	path, problem := splitName(p.path[:0], hdr.Name)
	p.path = path
	if problem != "" {
		return nameError(problem)
	}
	if len(path) == 0 {
		return p.placeRoot(hdr, kind)
	}
	parents, name := path[:len(path)-1], path[len(path)-1]
	if len(parents) > 0 && strings.HasPrefix(parents[0], whiteoutMeta) {
		p.warn(hdr, "is in a directory of AUFS' own, which is not shown") // but links lead there
	}
	if strings.HasPrefix(name, whiteoutPrefix) {
		return p.placeWhiteout(parents, name)
	}
	n := node{content: content}
	switch kind {
	case 0:
		target, problem := splitName(p.target[:0], hdr.Linkname)
		p.target = target
		if problem != "" {
			return nameError(fmt.Sprintf("is a hard link to %.300q, which %s", hdr.Linkname, problem))
		}
		if len(target) == 0 {
			return nameError("is a hard link to a directory")
		}
		dir, err := p.tree.walk(parents, forEntry)
		if err != nil {
			return err
		}
		return p.tree.link(dir, name, target)
	case ModeSymlink:
		if len(hdr.Linkname) == 0 || len(hdr.Linkname) > symlinkMax {
			return nameError(fmt.Sprintf("is a symbolic link to a path of %d bytes, which Linux cannot hold", len(hdr.Linkname)))
		}
		n.target = hdr.Linkname
	case ModeChar, ModeBlock:
		if hdr.Devmajor < 0 || hdr.Devmajor > math.MaxUint32 || hdr.Devminor < 0 || hdr.Devminor > math.MaxUint32 {
			return nameError(fmt.Sprintf("is a device with the impossible numbers %d:%d", hdr.Devmajor, hdr.Devminor))
		}
	}
	dir, err := p.tree.walk(parents, forEntry)
	if err != nil {
		return err
	}
	n.inode = p.attributes(hdr, kind)
	n.xattrs = p.xattrs(hdr)
	return p.tree.put(dir, name, n)
}

func (p *parser) placeRoot(hdr *tar.Header, kind uint32) error {
	if kind != ModeDir {
		return nameError("names the root, which can only be a directory")
	}
	n := node{inode: p.attributes(hdr, kind), xattrs: p.xattrs(hdr), content: none}
	return p.tree.describe(int32(Root), n)
}

// placeWhiteout enters a whiteout or an opaque mark. The type of its entry does
// not matter.
func (p *parser) placeWhiteout(parents []string, name string) error {
	hidden := strings.TrimPrefix(name, whiteoutPrefix)
	if name != opaqueMarker {
		if strings.HasPrefix(name, whiteoutMeta) {
			return nameError("is a file of AUFS' own")
		}
		if !validName(hidden) {
			return nameError(fmt.Sprintf("is a whiteout of the impossible name %q", hidden))
		}
	}
	dir, err := p.tree.walk(parents, forWhiteout)
	if err != nil {
		return err
	}
	if name == opaqueMarker {
		p.tree.nodes[dir].flags |= flagOpaque
		return nil
	}
	return p.tree.hide(dir, hidden)
}
