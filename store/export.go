package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/tarindex"
)

// LayerTar writes the top layer of a chain as the very tar that was unpacked, and verifies it on the way: an error after
// the last byte (ErrDigest, ErrCorrupt) means that what was written is not that tar. ErrNotFound. Call it under Use, so
// that a collection does not take the layer away in the middle.
func (s *Store) LayerTar(ctx context.Context, id digest.Digest, w io.Writer) error {
	c, err := s.Chain(id)
	if err != nil {
		return err
	}
	return s.assemble(ctx, c.DiffID, w)
}

// assemble writes the tar of one layer.
func (s *Store) assemble(ctx context.Context, diffID digest.Digest, w io.Writer) error {
	path := s.path(layerDir(diffID), "tar-split")
	rec, err := os.Open(path)
	if gone(err) {
		return s.missing(layerDir(diffID), path, "layer", diffID)
	}
	if err != nil {
		return err
	}
	defer rec.Close()
	if err := tarindex.Assemble(ctx, rec, s.readContent, w, diffID); err != nil {
		return s.assembleError(path, diffID, err)
	}
	return nil
}

// assembleError gives an error of Assemble the kind that callers of the store know.
func (s *Store) assembleError(path string, diffID digest.Digest, err error) error {
	kind := ErrDigest
	switch {
	case errors.Is(err, tarindex.ErrDigest):
	case errors.Is(err, tarindex.ErrCorrupt), errors.Is(err, tarindex.ErrFormat):
		kind = ErrCorrupt
	default:
		return fmt.Errorf("layer %s: %w", diffID, err)
	}
	return fmt.Errorf("%s: %w: %w; run `layerfs check`", path, kind, err)
}
