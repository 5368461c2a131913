package tarindex

import (
	"errors"
	"io"
	"math"
	"strings"

	"github.com/vbatts/tar-split/archive/tar"
)

// sparse reports whether the payload of an entry is not the bytes of its file,
// but those between its holes, and a map of them.
func sparse(hdr *tar.Header) bool {
	if hdr.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range hdr.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// sparsePayload stores the file as it is with its holes. The tape records what
// the parser reads for it as raw bytes.
func (p *parser) sparsePayload(hdr *tar.Header) error {
	p.expanded += min(hdr.Size, math.MaxInt64-p.expanded)
	if p.expanded > p.limits.Size {
		return p.limits.exceeded("size", "sparse files of more than %d bytes in all, with their holes")
	}
	if p.expanded > p.limits.Sparse {
		return p.limits.exceeded("sparse", "sparse files of more than %d bytes in all, with their holes")
	}
	c, err := p.out.open(hdr.Size)
	if err != nil {
		return err
	}
	c.dropped = true // unless all of it can be read
	defer close(c.parts)
	for left := hdr.Size; left > 0; {
		b := spare()
		b.refs.Store(1)
		n, err := io.ReadFull(p.tar, b.data[:min(left, blockSize)])
		if err != nil {
			return p.badSparse(err)
		}
		left -= int64(n)
		if err := send(p.ctx, c.parts, chunk{data: b.data[:n], block: b}); err != nil {
			return err
		}
	}
	if _, err := p.tar.Read(make([]byte, 1)); err != io.EOF {
		return p.badSparse(err)
	}
	c.dropped = false
	p.out.add(piece{kind: sparseEnd, big: c})
	return nil
}

// badSparse tells a stream that ends too early from a map that does not fit.
func (p *parser) badSparse(err error) error {
	if p.tape.err != nil || errors.Is(err, io.ErrUnexpectedEOF) {
		return p.explain(err)
	}
	return misfitError{err}
}

// unknownSparse reports whether an entry claims to be sparse in a way that the
// tar library does not know.
func unknownSparse(hdr *tar.Header) bool {
	major, minor := hdr.PAXRecords["GNU.sparse.major"], hdr.PAXRecords["GNU.sparse.minor"]
	switch {
	case hdr.Typeflag == tar.TypeGNUSparse || !sparse(hdr):
		return false
	case major == "" && minor == "":
		return hdr.PAXRecords["GNU.sparse.map"] == ""
	default:
		version := major + "." + minor
		return version != "0.0" && version != "0.1" && version != "1.0"
	}
}
