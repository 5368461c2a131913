package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/layerfs/layerfs/tarindex"
)

// ErrCorrupt: the file is no pack of this version, or damaged. Which file it is, the caller knows.
var ErrCorrupt = errors.New("no pack, or a damaged one")

const (
	version = 1

	headerSize = 16
	entrySize  = 48
	footerSize = 64
	locating   = 24 // the bytes of the footer that the sum covers
)

var (
	headMagic = []byte("layerfsP")
	tailMagic = []byte("Pfsreyal")
)

// Size is the length of a pack of count contents that have bytes altogether.
func Size(count int, bytes int64) int64 {
	return headerSize + bytes + int64(count)*entrySize + footerSize
}

// An Entry says where a content is: Size bytes from Off on.
type Entry struct {
	Hash      tarindex.Hash
	Off, Size int64
}

func (e Entry) append(b []byte) []byte {
	b = append(b, e.Hash[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Off))
	return binary.LittleEndian.AppendUint64(b, uint64(e.Size))
}

// decodeEntry reads an entry whose content has to lie between the header and end.
func decodeEntry(b []byte, end int64) (e Entry, ok bool) {
	copy(e.Hash[:], b)
	off, size := binary.LittleEndian.Uint64(b[32:]), binary.LittleEndian.Uint64(b[40:])
	if off < headerSize || off > uint64(end) || size > uint64(end)-off {
		return e, false
	}
	e.Off, e.Size = int64(off), int64(size)
	return e, true
}

func header() []byte {
	b := binary.LittleEndian.AppendUint32(bytes.Clone(headMagic), version)
	return binary.LittleEndian.AppendUint32(b, 0)
}

// A footer locates the table.
type footer struct {
	table int64 // offset
	count int
	sum   [sha256.Size]byte
}

// locator is the part of the footer that the sum covers.
func (f footer) locator() []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(f.table))
	b = binary.LittleEndian.AppendUint64(b, uint64(f.count))
	b = binary.LittleEndian.AppendUint32(b, version)
	return binary.LittleEndian.AppendUint32(b, 0)
}

// seal gives the sum of the table and the footer.
func (f footer) seal(table []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(table)
	h.Write(f.locator())
	return [sha256.Size]byte(h.Sum(nil))
}

func (f footer) encode() []byte { return append(append(f.locator(), f.sum[:]...), tailMagic...) }

func (f footer) name() string { return hex.EncodeToString(f.sum[:]) }

// decodeFooter reads the footer of a file of that size, and refuses one that does not fit it.
func decodeFooter(b []byte, size int64) (footer, error) {
	le := binary.LittleEndian
	if !bytes.Equal(b[locating+sha256.Size:], tailMagic) {
		return footer{}, fmt.Errorf("%w: it does not end as a pack does: cut off, or none", ErrCorrupt)
	}
	if v := le.Uint32(b[16:]); v != version || le.Uint32(b[20:]) != 0 {
		return footer{}, fmt.Errorf("%w: version %d of the pack format; this layerfs knows %d", ErrCorrupt, v, version)
	}
	table, count := le.Uint64(b), le.Uint64(b[8:])
	room := uint64(size - footerSize)
	if table < headerSize || table > room || count > (room-table)/entrySize || table+count*entrySize != room {
		return footer{}, fmt.Errorf("%w: a table of %d contents at %d does not fit into %d bytes", ErrCorrupt, count, table, size)
	}
	f := footer{table: int64(table), count: int(count)}
	copy(f.sum[:], b[locating:])
	return f, nil
}
