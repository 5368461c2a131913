package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/tarindex"
)

// A Layer is one unpacked layer tar: layers/sha256/<diffid>/ with the files "index" (names and attributes), "tar-split"
// (what makes the exact tar again) and "record" (this). It does not depend on a parent.
type Layer struct {
	DiffID           digest.Digest `json:"diffID"`
	Size             int64         `json:"size"`                       // bytes of the uncompressed tar
	ContentBytes     int64         `json:"contentBytes"`               // bytes of all its regular files
	Entries          int           `json:"entries"`                    // tar entries
	CompressedDigest digest.Digest `json:"compressedDigest,omitempty"` // of the stream as it first came in
	CompressedSize   int64         `json:"compressedSize,omitempty"`
	Compression      string        `json:"compression,omitempty"` // none, gzip, zstd, bzip2, xz
	Warnings         []string      `json:"warnings,omitempty"`    // what the tree does not show though the tar has it
	Created          time.Time     `json:"created"`
}

// layerDir is the directory of a layer, relative to the root.
func layerDir(diffID digest.Digest) string { return "layers/sha256/" + diffID.Encoded() }

// Layer reads the record of an unpacked layer. ErrNotFound, ErrCorrupt.
func (s *Store) Layer(diffID digest.Digest) (Layer, error) {
	if err := checkDigest(diffID); err != nil {
		return Layer{}, err
	}
	var l Layer
	path := s.path(layerDir(diffID), "record")
	if err := readRecord(path, "layer", &l); gone(err) {
		return Layer{}, s.missing(layerDir(diffID), path, "layer", diffID)
	} else if err != nil {
		return Layer{}, err
	}
	if l.DiffID != diffID {
		return Layer{}, corrupt(path, "it is the record of layer %s", l.DiffID)
	}
	return l, nil
}

// Whole looks whether the layer is there with its record, its index and all its contents, in their size; reading them is
// the business of Check. ErrNotFound, ErrCorrupt.
func (s *Store) Whole(diffID digest.Digest) error {
	if _, err := s.Layer(diffID); err != nil {
		return err
	}
	x, err := s.LayerIndex(diffID)
	if err != nil {
		return err
	}
	defer x.Close()
	// What this process has open of packs/ may be gone.
	if err := s.packs.refresh(true); err != nil {
		return err
	}
	for h, size := range x.Contents() {
		if err := s.findContent(h, size); err != nil {
			return err
		}
	}
	return nil
}

// missing is the error for a record that is not there: not found, unless the directory that should hold it is.
func (s *Store) missing(dir, path, kind string, id digest.Digest) error {
	if s.exists(dir) {
		return corrupt(path, "the %s record is missing", kind)
	}
	return fmt.Errorf("%s %s: %w", kind, id, ErrNotFound)
}

// Layers lists all unpacked layers, by DiffID.
func (s *Store) Layers() ([]Layer, error) {
	return listDigests(s, "layers/sha256", s.Layer)
}

// LayerIndex opens the index of one layer on its own: with its whiteouts, without what lies below.
func (s *Store) LayerIndex(diffID digest.Digest) (*tarindex.Index, error) {
	if err := checkDigest(diffID); err != nil {
		return nil, err
	}
	path := s.path(layerDir(diffID), "index")
	x, err := tarindex.Open(path)
	if gone(err) {
		return nil, s.missing(layerDir(diffID), path, "layer", diffID)
	}
	if errors.Is(err, tarindex.ErrFormat) || errors.Is(err, tarindex.ErrCorrupt) {
		return nil, fmt.Errorf("%s: %w: index of layer %s: %w; register the layer again", path, ErrCorrupt, diffID, err)
	}
	if err != nil {
		return nil, fmt.Errorf("index of layer %s: %w", diffID, err)
	}
	return x, nil
}
