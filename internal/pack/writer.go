package pack

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"slices"
	"sync"

	"github.com/layerfs/layerfs/tarindex"
)

// bufferSize makes the writes long: contents are a few KiB.
const bufferSize = 1 << 20

// A Writer makes a pack. Append and Len may be called by several goroutines at once.
type Writer struct {
	f *os.File

	mu      sync.Mutex
	w       *bufio.Writer
	end     int64 // of the contents
	entries []Entry
	failed  error // a write that failed; the file is worthless from then on
}

// Create begins a pack in the new file path.
func Create(path string) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return nil, err
	}
	w := &Writer{f: f, w: bufio.NewWriterSize(f, bufferSize), end: headerSize}
	_, w.failed = w.w.Write(header())
	return w, nil
}

// Append adds the content data, whose hash is h. It does not keep data. Each hash may come once.
func (w *Writer) Append(h tarindex.Hash, data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != nil {
		return w.failed
	}
	if _, w.failed = w.w.Write(data); w.failed != nil {
		return w.failed
	}
	w.entries = append(w.entries, Entry{h, w.end, int64(len(data))})
	w.end += int64(len(data))
	return nil
}

// Len is the number of contents so far.
func (w *Writer) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.entries)
}

// Finish writes the table and closes the file. It returns the name that the file is to have; nothing is synced yet.
// After an error the file is the caller's to remove.
func (w *Writer) Finish() (name string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != nil {
		return "", errors.Join(w.failed, w.f.Close())
	}
	slices.SortFunc(w.entries, func(a, b Entry) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	table := make([]byte, 0, len(w.entries)*entrySize+footerSize)
	for _, e := range w.entries {
		table = e.append(table)
	}
	foot := footer{table: w.end, count: len(w.entries)}
	w.entries = nil
	foot.sum = foot.seal(table)
	if _, err = w.w.Write(append(table, foot.encode()...)); err == nil {
		err = w.w.Flush()
	}
	return foot.name(), errors.Join(err, w.f.Close())
}

// Abort removes the file. Either it or Finish is called, once.
func (w *Writer) Abort() error {
	return errors.Join(w.f.Close(), os.Remove(w.f.Name()))
}
