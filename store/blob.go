package store

import (
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/internal/durable"
)

// blobPath is where a config or manifest is, relative to the root.
func blobPath(d digest.Digest) string { return "blobs/sha256/" + d.Encoded() }

// PutBlob stores an image's config or manifest, byte for byte, and returns its digest. Until an image refers to it only
// the caller's Use keeps it.
//
// Steps: blob.staged, blob.renamed, blob.durable.
func (s *Store) PutBlob(data []byte) (digest.Digest, error) {
	release, err := s.Use()
	if err != nil {
		return "", err
	}
	defer release()
	d := digest.FromBytes(data)
	if _, err := s.Blob(d); err == nil {
		return d, durable.SyncDir(s.path("blobs/sha256"))
	}
	if err := s.commitFile("blob", s.path(blobPath(d)), data, 0o400); err != nil {
		return "", fmt.Errorf("store blob %s: %w", d, err)
	}
	return d, nil
}

// Blob reads a config or manifest and verifies its digest. ErrNotFound, ErrCorrupt.
func (s *Store) Blob(d digest.Digest) ([]byte, error) {
	if err := checkDigest(d); err != nil {
		return nil, err
	}
	path := s.path(blobPath(d))
	b, err := readFile(path)
	if gone(err) {
		return nil, fmt.Errorf("blob %s: %w", d, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	if got := digest.FromBytes(b); got != d {
		return nil, corrupt(path, "its bytes have the digest %s", got)
	}
	return b, nil
}
