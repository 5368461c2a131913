package store

import (
	"errors"
	"fmt"
	"maps"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/tarindex"
)

// roots is what the names in the store refer to: everything else exists for their sake.
type roots struct {
	chains map[digest.Digest]string // ChainID -> the image or RW layer that refers to it
	blobs  map[digest.Digest]bool
}

// roots reads all images and RW layers. One that cannot be read is an error: what it refers to is unknown, and must not
// be taken for garbage.
func (s *Store) roots() (roots, error) {
	r := roots{map[digest.Digest]string{}, map[digest.Digest]bool{}}
	imgs, err := s.Images()
	if err != nil {
		return r, err
	}
	for _, img := range imgs {
		r.chains[img.ChainID] = "image " + img.Name
		for _, b := range img.blobs() {
			r.blobs[b] = true
		}
	}
	rws, err := s.RWs()
	if err != nil {
		return r, err
	}
	for _, rw := range rws {
		for _, id := range []digest.Digest{rw.Parent, rw.Init} {
			r.chains[id] = "rw layer " + rw.Name
		}
	}
	delete(r.chains, "") // the empty chain is nowhere on disk
	return r, nil
}

// markChains gives all chains that the roots reach.
func (s *Store) markChains(r roots) (map[digest.Digest]Chain, error) {
	live := map[digest.Digest]Chain{}
	for id, who := range r.chains {
		for id != "" {
			if _, done := live[id]; done {
				break
			}
			c, err := s.Chain(id)
			if errors.Is(err, ErrNotFound) {
				return nil, fmt.Errorf("%s: %w: it needs what is not there: %s; run `layerfs check`", who, ErrCorrupt, err.Error())
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", who, err)
			}
			live[id] = c
			id = c.Parent
		}
	}
	return live, nil
}

// markContents adds every content that the layer refers to, with its size, to live.
func (s *Store) markContents(diffID digest.Digest, live map[tarindex.Hash]int64) error {
	x, err := s.LayerIndex(diffID)
	if err != nil {
		return err
	}
	defer x.Close()
	// Only the checksum tells a damaged index from one that refers to less.
	if err := x.Verify(); err != nil {
		return corrupt(s.path(layerDir(diffID), "index"), "%v", err)
	}
	maps.Insert(live, x.Contents())
	return nil
}
