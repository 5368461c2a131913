package store

import (
	"bytes"
	"errors"
	"os"
)

// holeSize is the size of the pieces that a sparseFile looks at: longer than the blocks of any file system, and so long
// that a program is not cut up at each of its blank pages.
const holeSize = 64 << 10

var zeros [holeSize]byte

// A sparseFile is a new file, written from its beginning to its end. Where zeros come it gets a hole, whether the tar
// told of one or not: an archive of a few KiB may hold a file of many GiB, and its zeros shall cost nothing.
type sparseFile struct {
	f    *os.File
	size int64 // so far
	end  int64 // of the last data; what is behind it is a hole
}

func createSparse(path string) (*sparseFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return nil, err
	}
	return &sparseFile{f: f}, nil
}

// Write implements io.Writer.
func (s *sparseFile) Write(b []byte) (n int, err error) {
	for n < len(b) {
		data, blank := s.split(b[n:])
		k, err := s.f.WriteAt(data, s.size)
		if n, s.size = n+k, s.size+int64(k); k > 0 {
			s.end = s.size
		}
		if err != nil {
			return n, err
		}
		n, s.size = n+blank, s.size+int64(blank)
	}
	return n, nil
}

// split gives what b begins with up to the first blank piece, and the length of that. Pieces end at multiples of
// holeSize in the file. Data that is not blank shows it in its first bytes, as a rule.
func (s *sparseFile) split(b []byte) (data []byte, blank int) {
	for at := 0; at < len(b); {
		n := min(len(b)-at, holeSize-int((s.size+int64(at))%holeSize))
		if bytes.Equal(b[at:at+n], zeros[:n]) {
			return b[:at], n
		}
		at += n
	}
	return b, 0
}

// close gives the file its length.
func (s *sparseFile) close() error {
	var err error
	if s.end < s.size {
		err = s.f.Truncate(s.size)
	}
	return errors.Join(err, s.f.Close())
}

// remove gives the file up.
func (s *sparseFile) remove() error {
	return errors.Join(s.f.Close(), os.Remove(s.f.Name()))
}
