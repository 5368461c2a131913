package tarindex

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
)

// What can be told of a block without the tar library.

// checked reports whether a block has the checksum of a header. Some writers
// have summed up signed bytes.
func checked(b []byte) bool {
	want, ok := numeric(b[148:156])
	unsigned, signed := checksums(b)
	return ok && (want == unsigned || want == signed)
}

func checksums(b []byte) (unsigned, signed int64) {
	for i, c := range b {
		if i >= 148 && i < 156 {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return unsigned, signed
}

// sign gives a header that was changed its checksum.
func sign(b []byte) {
	sum, _ := checksums(b)
	copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

// numeric reads a number as the library does: of octal digits, or to the base
// of 256 if its first bit is set.
func numeric(b []byte) (n int64, ok bool) {
	if b[0]&0x80 == 0 {
		b = bytes.Trim(b, " \x00")
		if len(b) == 0 {
			return 0, true
		}
		u, err := strconv.ParseUint(cString(b), 8, 64)
		return int64(u), err == nil
	}
	var invert byte
	if b[0]&0x40 != 0 { // negative
		invert = 0xff
	}
	var u uint64
	for i, c := range b {
		c ^= invert
		if i == 0 {
			c &= 0x7f
		}
		if u>>56 > 0 {
			return 0, false
		}
		u = u<<8 | uint64(c)
	}
	if u > math.MaxInt64 {
		return 0, false
	}
	if invert != 0 {
		return ^int64(u), true
	}
	return int64(u), true
}

func cString(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}
