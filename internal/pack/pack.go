package pack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"os"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// A Pack is an open pack. Its methods are safe for concurrent use, but for Close.
type Pack struct {
	f      *os.File
	size   int64
	foot   footer
	mapped []byte // pages of the file that hold the table
	table  []byte
}

// Open opens the pack in the file path. The error wraps ErrCorrupt if it is none, or cut off. Only VerifyTable tells
// whether the table is what it was when it was written.
func Open(path string) (*Pack, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	p := &Pack{f: f}
	if err := p.open(); err != nil {
		f.Close()
		return nil, err
	}
	return p, nil
}

func (p *Pack) open() error {
	fi, err := p.f.Stat()
	if err != nil {
		return err
	}
	p.size = fi.Size()
	if !fi.Mode().IsRegular() || p.size < headerSize+footerSize {
		return fmt.Errorf("%w: not a file, or too short for a pack: %d bytes", ErrCorrupt, p.size)
	}
	var head [headerSize]byte
	if _, err := p.f.ReadAt(head[:], 0); err != nil {
		return err
	}
	if !bytes.Equal(head[:], header()) {
		return fmt.Errorf("%w: it does not begin as a pack of version %d does", ErrCorrupt, version)
	}
	var foot [footerSize]byte
	if _, err := p.f.ReadAt(foot[:], p.size-footerSize); err != nil {
		return err
	}
	if p.foot, err = decodeFooter(foot[:], p.size); err != nil {
		return err
	}
	return p.mapTable()
}

// mapTable maps the pages that hold the table, which begins anywhere.
func (p *Pack) mapTable() error {
	if p.foot.count == 0 {
		return nil
	}
	first := p.foot.table &^ int64(os.Getpagesize()-1)
	skip := int(p.foot.table - first)
	var err error
	p.mapped, err = unix.Mmap(int(p.f.Fd()), first, skip+p.foot.count*entrySize, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the table: %w", err)
	}
	p.table = p.mapped[skip:]
	return nil
}

// Close closes the file.
func (p *Pack) Close() error {
	if p.mapped != nil {
		if err := unix.Munmap(p.mapped); err != nil {
			return err
		}
	}
	p.mapped, p.table, p.foot.count = nil, nil, 0
	return p.f.Close()
}

// Name is the name that the file should have.
func (p *Pack) Name() string { return p.foot.name() }

// Len is the number of contents.
func (p *Pack) Len() int { return p.foot.count }

// Size is the length of the file.
func (p *Pack) Size() int64 { return p.size }

// File is the file, for ReadAt and for a duplicate of its descriptor.
func (p *Pack) File() *os.File { return p.f }

// interpolations is after how many guesses a search goes on by halves: for a table that is not uniform, and so not of
// ours.
const interpolations = 8

// Find tells where the content of that hash is; ok is false if it is not in the pack.
func (p *Pack) Find(h tarindex.Hash) (off, size int64, ok bool) {
	key := binary.BigEndian.Uint64(h[:])
	lo, hi := 0, p.foot.count // where it can be, and between which keys:
	least, most := uint64(0), ^uint64(0)
	for step := 0; lo < hi; step++ {
		at := lo + (hi-lo)/2
		if step < interpolations && least < most {
			share := float64(key-least) / float64(most-least)
			at = lo + min(int(share*float64(hi-lo)), hi-lo-1)
		}
		b := p.entry(at)
		switch bytes.Compare(b[:len(h)], h[:]) {
		case 0:
			e, ok := decodeEntry(b, p.foot.table)
			return e.Off, e.Size, ok
		case -1:
			lo, least = at+1, binary.BigEndian.Uint64(b)
		default:
			hi, most = at, binary.BigEndian.Uint64(b)
		}
	}
	return 0, 0, false
}

func (p *Pack) entry(i int) []byte { return p.table[i*entrySize : (i+1)*entrySize] }

// All yields every content, by hash. Those that a damaged table places outside of the pack are left out.
func (p *Pack) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for i := range p.foot.count {
			if e, ok := decodeEntry(p.entry(i), p.foot.table); ok && !yield(e) {
				return
			}
		}
	}
}

// Section reads one content.
func (p *Pack) Section(e Entry) *io.SectionReader { return io.NewSectionReader(p.f, e.Off, e.Size) }

// VerifyTable checks that the table is what it was when it was written, and makes sense. The error wraps ErrCorrupt.
func (p *Pack) VerifyTable() error {
	if p.foot.seal(p.table) != p.foot.sum {
		return fmt.Errorf("%w: its table does not have its checksum", ErrCorrupt)
	}
	var last []byte
	for i := range p.foot.count {
		b := p.entry(i)
		e, ok := decodeEntry(b, p.foot.table)
		if !ok {
			return fmt.Errorf("%w: content %s lies outside of it", ErrCorrupt, e.Hash)
		}
		if last != nil && bytes.Compare(last, e.Hash[:]) >= 0 {
			return fmt.Errorf("%w: content %s is twice in its table, or out of order", ErrCorrupt, e.Hash)
		}
		last = b[:len(e.Hash)]
	}
	return nil
}
