package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// recordVersion is the version of every record this code writes, and the newest it reads.
const recordVersion = 1

// envelope is what a record file holds: JSON that a person can read, with a checksum so that a flipped bit is found even
// where it leaves valid JSON behind, and the kind so that a file in the wrong place is found too.
type envelope struct {
	Version int             `json:"version"`
	Kind    string          `json:"kind"`
	SHA256  string          `json:"sha256"` // of Record without insignificant white space
	Record  json.RawMessage `json:"record"`
}

// encodeRecord gives the bytes of the record file of v.
func encodeRecord(kind string, v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s record: %w", kind, err)
	}
	sum := sha256.Sum256(raw)
	b, err := json.MarshalIndent(envelope{recordVersion, kind, hex.EncodeToString(sum[:]), raw}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode %s record: %w", kind, err)
	}
	return append(b, '\n'), nil
}

// readRecord reads the record file path into v. A missing file is fs.ErrNotExist; anything but a whole record of that
// kind is ErrCorrupt (ErrFormat when a newer layerfs wrote it) with the file's name. It never gives half a record.
func readRecord(path, kind string, v any) error {
	b, err := readFile(path)
	if err != nil {
		return err
	}
	var e envelope
	if err := json.Unmarshal(b, &e); err != nil {
		return corrupt(path, "%s record: %v (%d bytes)", kind, err, len(b))
	}
	if e.Version > recordVersion {
		return fmt.Errorf("%s: %w: version %d of a %s record; this layerfs knows up to %d: use a newer one", path, ErrFormat, e.Version, kind, recordVersion)
	}
	if e.Version < 1 || e.Kind != kind {
		return corrupt(path, "not a %s record (version %d, kind %q)", kind, e.Version, e.Kind)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, e.Record); err != nil {
		return corrupt(path, "%s record: %v", kind, err)
	}
	if sum := sha256.Sum256(compact.Bytes()); hex.EncodeToString(sum[:]) != e.SHA256 {
		return corrupt(path, "%s record does not have its checksum", kind)
	}
	if err := json.Unmarshal(e.Record, v); err != nil {
		return corrupt(path, "%s record: %v", kind, err)
	}
	return nil
}

// readFile reads a file of the store. A directory in its place is damage.
func readFile(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, syscall.EISDIR) {
		return nil, corrupt(path, "it is a directory instead of a file")
	}
	return b, err
}

// corrupt makes the error for a damaged file.
func corrupt(path, format string, args ...any) error {
	return fmt.Errorf("%s: %w: %s; run `layerfs check`", path, ErrCorrupt, fmt.Sprintf(format, args...))
}

// gone tells whether err says that a file is not there.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
