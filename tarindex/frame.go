package tarindex

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/vbatts/tar-split/archive/tar"
)

// The tar library gives up at a header whose checksum is right, but not what it
// says: a uid that is no number, a sparse map that is out of order. Where such an
// entry ends can be told all the same, so it is left out and the scan goes on.

// A frame is where an entry lies, as far as that can be told without
// understanding it.
type frame struct {
	name     string
	at       int64  // of the header at which the library has stopped
	end      int64  // of its payload, before the padding
	extended bool   // at is an extended header
	sparse   bool   // it claims to be
	last     bool   // nothing but extended headers, and the end of the archive after them
	headers  []byte // what the library reads instead; nil if there is nothing to mend
}

// The frame that is being made.
type framer struct {
	frame
	tape    *tape
	pos     int64 // in tape.headers
	mended  bool
	records records // of the last extended header
	long    string  // the last GNU long name
}

// frame finds the frame of the entry whose headers the tape has. It reads on
// where the library has stopped too early. The entry has one if all its headers
// have right checksums, and sizes. io.EOF: there is none, but the archive's end.
func (p *parser) frame() (frame, error) {
	f := framer{tape: p.tape, pos: -p.tape.headersAt & (tarBlock - 1)}
	read := int64(len(p.tape.headers)) // by the library
	for {
		begins := f.pos == -p.tape.headersAt&(tarBlock-1)
		err := f.tape.needHeaders(f.pos + tarBlock)
		if err == io.EOF && !begins && isZero(f.tape.headers[min(f.pos, int64(len(f.tape.headers))):]) {
			f.last = true
			return f.frame, nil
		}
		if err != nil {
			return f.frame, cut(err)
		}
		h := f.tape.headers[f.pos:][:tarBlock]
		if isZero(h) && (p.entries > 0 || !begins) {
			f.last = true
			if err := p.lone(f.pos); err != nil {
				return f.frame, err
			}
			if f.pos < read { // the library liked what came before
				return f.frame, io.EOF
			}
			return f.frame, nil
		}
		if !checked(h) {
			return f.frame, p.noHeader(f.offset())
		}
		if f.pos < read {
			f.at = f.offset()
			f.extended = extends(h[156])
		}
		at := f.offset()
		done, err := f.header(h)
		if err == errSize {
			return f.frame, fmt.Errorf("%w: entry %d, %.300q, at byte %d: its size makes no sense", ErrNotTar, p.entries+1, f.name, at)
		}
		if err != nil {
			return f.frame, cut(err)
		}
		if done {
			if !f.mended {
				f.headers = nil
			}
			return f.frame, nil
		}
	}
}

func (f *framer) offset() int64 { return f.tape.headersAt + f.pos }

// extends reports whether a header describes another one, or all.
func extends(typ byte) bool {
	switch typ {
	case tar.TypeXHeader, tar.TypeXGlobalHeader, tar.TypeGNULongName, tar.TypeGNULongLink:
		return true
	}
	return false
}

// errSize: a size that makes no sense.
var errSize = errors.New("no size")

// header goes past one header; it is the last one if done.
func (f *framer) header(h []byte) (done bool, err error) {
	typ := h[156]
	if extends(typ) {
		f.name = cString(h[:100])
		return typ == tar.TypeXGlobalHeader, f.extendedHeader(h)
	}
	f.name = f.nameOf(h)
	size, ok := numeric(h[124:136])
	if f.records.size != "" {
		size, err = strconv.ParseInt(f.records.size, 10, 64)
		ok = err == nil
	}
	switch typ {
	case tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo:
		size, ok = 0, true
	case tar.TypeRegA:
		if strings.HasSuffix(f.name, "/") { // a directory
			size, ok = 0, true
		}
	}
	f.sparse = f.records.sparse
	f.headers = append(f.headers, h...)
	gnu := string(h[257:265]) == "ustar  \x00"
	f.pos += tarBlock
	if typ == tar.TypeGNUSparse {
		switch {
		case gnu:
			f.sparse = true
			for more := h[482] != 0; more; f.pos += tarBlock {
				if err := f.tape.needHeaders(f.pos + tarBlock); err != nil {
					return false, err
				}
				more = f.tape.headers[f.pos+504] != 0
			}
		case string(h[508:]) == "tar\x00":
			ok = false // star, too, has a map there, but another one
		default: // as GNU tar and bsdtar see it, a regular file
			f.mended = true
			mended := f.headers[len(f.headers)-tarBlock:]
			mended[156] = tar.TypeReg
			sign(mended)
		}
	}
	if !ok || size < 0 || size > math.MaxInt64-f.offset()-tarBlock {
		return false, errSize
	}
	f.end = f.offset() + size
	return true, nil
}

// extendedHeader goes past a header that describes the next entry, or all.
func (f *framer) extendedHeader(h []byte) error {
	h = bytes.Clone(h)
	size, ok := numeric(h[124:136])
	if !ok || size < 0 {
		return errSize
	}
	if size > extendedMax {
		return tar.ErrFieldTooLong
	}
	if err := f.tape.needHeaders(f.pos + tarBlock + size); err != nil {
		return err
	}
	body := f.tape.headers[f.pos+tarBlock:][:size]
	f.end = f.offset() + tarBlock + size
	switch h[156] {
	case tar.TypeGNULongName:
		f.long = cString(body)
	case tar.TypeXHeader, tar.TypeXGlobalHeader:
		var rest []byte
		f.records, rest = readRecords(body)
		if len(rest) > 0 && len(bytes.Trim(rest, "\x00")) == 0 {
			body = body[:len(body)-len(rest)]
			f.mended = true
			copy(h[124:136], fmt.Sprintf("%011o\x00", len(body)))
			sign(h)
		}
	}
	f.headers = append(append(f.headers, h...), body...)
	f.headers = append(f.headers, zeros[:-len(body)&(tarBlock-1)]...)
	f.pos += tarBlock + (size+tarBlock-1)&^(tarBlock-1)
	if h[156] == tar.TypeXGlobalHeader {
		return nil
	}
	if err := f.tape.needHeaders(f.pos); err != nil && err != io.EOF {
		return err
	}
	return nil
}

// extendedMax is the longest extended header that the library reads.
const extendedMax = 1 << 20

// nameOf returns the name of the entry, as far as it is known.
func (f *framer) nameOf(h []byte) string {
	if f.long != "" {
		return f.long
	}
	if name := cmp.Or(f.records.sparseName, f.records.path); name != "" {
		return name
	}
	name := cString(h[:100])
	if string(h[257:263]) == "ustar\x00" && h[345] != 0 {
		name = cString(h[345:500]) + "/" + name
	}
	return name
}

// records are what a frame needs of an extended header.
type records struct {
	path, size string
	sparse     bool
	sparseName string
}

// readRecords reads up to the first record that cannot be told from the next,
// and returns what is left.
func readRecords(b []byte) (r records, rest []byte) {
	for len(b) > 0 {
		length, _, ok := bytes.Cut(b[:min(len(b), 20)], []byte(" "))
		n, err := strconv.ParseUint(string(length), 10, 31)
		if !ok || err != nil || n <= uint64(len(length))+1 || n > uint64(len(b)) || b[n-1] != '\n' {
			return r, b
		}
		key, value, ok := bytes.Cut(b[len(length)+1:n-1], []byte("="))
		if !ok {
			return r, b
		}
		switch {
		case string(key) == "path":
			r.path = string(value)
		case string(key) == "size":
			r.size = string(value)
		case bytes.HasPrefix(key, []byte("GNU.sparse.")):
			r.sparse = true
			if string(key) == "GNU.sparse.name" {
				r.sparseName = string(value)
			}
		}
		b = b[n:]
	}
	return r, nil
}
