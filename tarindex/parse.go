package tarindex

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/vbatts/tar-split/archive/tar"
)

// A parser is the stage that reads the tar: it sends payloads of files to the
// sink, all bytes to the recorder, and builds the tree.
type parser struct {
	ctx    context.Context
	tape   *tape
	tar    *tar.Reader
	out    *batcher
	limits Limits
	tree   *tree

	entries  int
	number   int32 // of contents so far
	expanded int64 // bytes of sparse files
	litter   litter
	path     []string
	target   []string
	warnings []string
	silent   int // warnings beyond warningsMax
}

func newParser(ctx context.Context, in <-chan *block, out *batcher, l Limits) *parser {
	t := newTape(ctx, in, out)
	return &parser{ctx: ctx, tape: t, tar: tar.NewReader(t), out: out, limits: l, tree: newTree(l)}
}

// warningsMax is the number of warnings that a layer keeps.
const warningsMax = 100

func (p *parser) warn(hdr *tar.Header, problem string) { p.warnOf(hdr.Name, problem) }

func (p *parser) warnOf(name, problem string) {
	p.note(fmt.Sprintf("entry %d, %.300q, %s", p.entries, name, problem))
}

func (p *parser) note(warning string) {
	if len(p.warnings) == warningsMax {
		p.silent++
		return
	}
	p.warnings = append(p.warnings, warning)
}

func (p *parser) warned() []string {
	if p.silent > 0 {
		return append(p.warnings, fmt.Sprintf("and %d more", p.silent))
	}
	return p.warnings
}

func (p *parser) run() error {
	for {
		hdr, err := p.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if hdr == nil { // left out
			continue
		}
		if err := p.count(hdr.Name); err != nil {
			return err
		}
		if err := p.entry(hdr); err != nil {
			return fmt.Errorf("entry %d, %.300q: %w", p.entries, hdr.Name, err)
		}
	}
	if err := p.tape.rest(); err != nil {
		return err
	}
	return p.tree.finish()
}

// next returns the next header; nil for an entry that is left out.
func (p *parser) next() (*tar.Header, error) {
	p.tape.beginHeaders(p.limits.Header)
	hdr, err := p.tar.Next()
	if p.senseless(err) {
		hdr, err = p.mend()
	}
	p.tape.inHeaders = false
	p.litter.add(int64(len(p.tape.headers)), len(p.tree.nodes))
	if err != nil && err != io.EOF {
		return nil, p.explain(err)
	}
	return hdr, err
}

// count counts an entry.
func (p *parser) count(name string) error {
	if p.entries++; int64(p.entries) > p.limits.Entries {
		return fmt.Errorf("entry %d, %.300q: %w", p.entries, name, p.limits.exceeded("entries", "more than %d entries"))
	}
	return nil
}

// entry deals with one entry: first its payload, which comes next in the
// stream, then its meaning.
func (p *parser) entry(hdr *tar.Header) error {
	if n := max(len(hdr.Name), len(hdr.Linkname)); int64(n) > p.limits.Path {
		return p.limits.exceeded("path", "a name of more than %d bytes")
	}
	if len(hdr.PAXRecords) > 0 {
		// Cut from the whole extended header, which must not stay in memory for them.
		hdr.Name, hdr.Linkname = strings.Clone(hdr.Name), strings.Clone(hdr.Linkname)
	}
	kind := kindOf(hdr)
	number := int32(none)
	if kind == ModeRegular && hdr.Size > 0 {
		err := p.payload(hdr)
		if misfit, ok := err.(misfitError); ok {
			return p.leaveOutMisfit(misfit)
		}
		if err != nil {
			return err
		}
		number = p.number
		p.number++
	} else if err := p.discard(hdr); err != nil {
		return err
	}
	if unknownSparse(hdr) {
		p.warn(hdr, "claims to be sparse, but not in a form that is known; its bytes are shown as they are stored")
	}
	err := p.place(hdr, kind, number)
	var problem nameError
	if errors.As(err, &problem) {
		p.warn(hdr, string(problem)+"; it is left out")
		return nil
	}
	if err == nil && p.tree.wasteful() {
		p.tree.compact()
	}
	return err
}

// discard goes past the payload of what is no file, or an empty one, so that
// nothing but headers is left for the next entry.
func (p *parser) discard(hdr *tar.Header) error {
	if sparse(hdr) { // with holes that the library would read
		f, err := p.frame()
		if err != nil {
			return p.explain(err)
		}
		return p.skip(f)
	}
	if _, err := io.Copy(io.Discard, p.tar); err != nil {
		return p.explain(err)
	}
	return nil
}

// kindOf returns the file type of an entry; 0 for one that is no file. Types
// that nobody knows are regular files, as POSIX wants it and GNU tar does.
func kindOf(hdr *tar.Header) uint32 {
	switch hdr.Typeflag {
	case tar.TypeXGlobalHeader, 'V', 'M', 'N', 'X':
		return 0
	case tar.TypeDir, 'D':
		return ModeDir
	case tar.TypeSymlink:
		return ModeSymlink
	case tar.TypeChar:
		return ModeChar
	case tar.TypeBlock:
		return ModeBlock
	case tar.TypeFifo:
		return ModeFIFO
	case tar.TypeLink:
		return 0
	default:
		if strings.HasSuffix(hdr.Name, "/") { // from before tar had directories
			return ModeDir
		}
		return ModeRegular
	}
}

// payload sends the bytes of a regular file to the sink and to the recorder.
func (p *parser) payload(hdr *tar.Header) error {
	if sparse(hdr) {
		return p.sparsePayload(hdr)
	}
	if hdr.Size <= smallMax {
		data, err := p.tape.takeAll(hdr.Size, 2)
		if err != nil {
			return err
		}
		p.out.add(piece{kind: smallContent, chunk: data, name: hdr.Name})
		return nil
	}
	c, err := p.out.open(hdr.Size)
	if err != nil {
		return err
	}
	for left := hdr.Size; left > 0; {
		part, err := p.tape.take(left, 2)
		if err != nil {
			return err
		}
		left -= int64(len(part.data))
		if err := send(p.ctx, c.parts, part); err != nil {
			return err
		}
		p.out.add(piece{kind: bigPart, chunk: part})
	}
	close(c.parts)
	p.out.add(piece{kind: bigEnd, big: c, name: hdr.Name})
	return nil
}

// attributes returns the inode that a header describes.
func (p *parser) attributes(hdr *tar.Header, kind uint32) inode {
	n := inode{
		mode:  kind | uint32(hdr.Mode)&0o7777,
		uid:   p.id(hdr, "uid", int64(hdr.Uid)),
		gid:   p.id(hdr, "gid", int64(hdr.Gid)),
		mtime: Time{Sec: hdr.ModTime.Unix(), Nsec: uint32(hdr.ModTime.Nanosecond())},
	}
	switch kind {
	case ModeRegular:
		n.size = hdr.Size
	case ModeSymlink:
		n.size = int64(len(hdr.Linkname))
	case ModeChar, ModeBlock:
		n.a, n.b = uint32(hdr.Devmajor), uint32(hdr.Devminor)
	}
	return n
}

// overflowID is what Linux shows for an id that it cannot express.
const overflowID = 65534

func (p *parser) id(hdr *tar.Header, what string, id int64) uint32 {
	if id < 0 || id >= math.MaxUint32 {
		p.warn(hdr, fmt.Sprintf("has the %s %d, which Linux does not have; %d stands for it", what, id, overflowID))
		return overflowID
	}
	return uint32(id)
}

const xattrPrefix = "SCHILY.xattr."

// xattrs returns the encoded extended attributes of an entry. They are taken
// from the PAX records, because the library drops empty values.
func (p *parser) xattrs(hdr *tar.Header) []byte {
	var set []Xattr
	for key, value := range hdr.PAXRecords {
		name, ok := strings.CutPrefix(key, xattrPrefix)
		if !ok {
			continue
		}
		if len(name) == 0 || len(name) > nameMax || len(value) > xattrMax {
			p.warn(hdr, fmt.Sprintf("has the extended attribute %.300q of %d bytes, which Linux cannot hold; it is left out", name, len(value)))
			continue
		}
		set = append(set, Xattr{Name: name, Value: []byte(value)})
	}
	if len(set) == 0 {
		return nil
	}
	return appendXattrSet(nil, set)
}

const (
	xattrMax   = 64 << 10 // XATTR_SIZE_MAX of Linux
	symlinkMax = 4095     // PATH_MAX without its NUL
)
