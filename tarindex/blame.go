package tarindex

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/vbatts/tar-split/archive/tar"
)

// The tar library says of every stream that it cannot read "invalid tar
// header". People want to know which: blame looks at what was read last.

// notTar explains why the library stopped where the tape is.
func (p *parser) notTar(err error) error {
	at, header := p.tape.lastHeader()
	switch {
	case header != nil && covers(at, header, p.tape.offset):
		return fmt.Errorf("%w: entry %d, %.300q, at byte %d: a number, a PAX record or a sparse map of its header makes no sense: %w",
			ErrNotTar, p.entries+1, cString(header[:100]), at, err)
	case p.entries > 0:
		return fmt.Errorf("%w: no valid header at byte %d, after entry %d: %w", ErrNotTar, max(p.tape.offset-tarBlock, 0), p.entries, err)
	default:
		return fmt.Errorf("%w: it does not begin with a valid header: %w", ErrNotTar, err)
	}
}

// lastHeader finds the last block with a right checksum in the raw bytes that
// have not been passed on, and where it is in the stream.
func (t *tape) lastHeader() (at int64, header []byte) {
	raw := t.out.lastRaw()
	start := t.offset - int64(len(raw))
	for at := (t.offset - tarBlock) / tarBlock * tarBlock; at >= max(start, 0); at -= tarBlock {
		if b := raw[at-start:]; len(b) >= tarBlock && checked(b[:tarBlock]) {
			return at, b[:tarBlock]
		}
	}
	return 0, nil
}

// covers reports whether the byte before offset belongs to the header at at, or
// to what the library reads together with it: records or a sparse map.
func covers(at int64, header []byte, offset int64) bool {
	read := offset - at - tarBlock
	switch header[156] {
	case tar.TypeGNUSparse:
		return true
	case tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo:
		return read <= 0
	}
	size, _ := strconv.ParseInt(strings.Trim(cString(header[124:136]), " "), 8, 64)
	return read <= (size+tarBlock-1)/tarBlock*tarBlock
}

// checked reports whether a block has the checksum of a header. Some writers
// have summed up signed bytes.
func checked(b []byte) bool {
	want, err := strconv.ParseInt(strings.Trim(cString(b[148:156]), " "), 8, 64)
	if err != nil {
		return false
	}
	var unsigned, signed int64
	for i, c := range b {
		if i >= 148 && i < 156 {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return want == unsigned || want == signed
}

func cString(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}
