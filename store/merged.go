package store

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/internal/durable"
	"github.com/layerfs/layerfs/tarindex"
)

// mergedPath is the cached merged index of a chain, relative to the root.
func mergedPath(id digest.Digest) string { return "merged/sha256/" + id.Encoded() }

// MergedIndex opens the index of the whole tree of a chain, which is built the first time and cached. "" is the empty
// chain. A cached file that is damaged or of another version is built again. The caller closes the index; it stays
// usable when the cache is removed meanwhile.
//
// Steps, when it is built: merged.staged, merged.renamed, merged.durable.
func (s *Store) MergedIndex(id digest.Digest) (*tarindex.Index, error) {
	if id == "" {
		return tarindex.Empty(), nil
	}
	if err := checkDigest(id); err != nil {
		return nil, err
	}
	if x, err := s.cachedIndex(id); x != nil || err != nil {
		return x, err
	}
	release, err := s.Use()
	if err != nil {
		return nil, err
	}
	defer release()
	return s.buildMerged(id)
}

// cachedIndex opens the cached merged index; nil if there is none that can be used.
func (s *Store) cachedIndex(id digest.Digest) (*tarindex.Index, error) {
	x, err := tarindex.Open(s.path(mergedPath(id)))
	if err == nil {
		return x, nil
	}
	if gone(err) || errors.Is(err, tarindex.ErrFormat) || errors.Is(err, tarindex.ErrCorrupt) {
		return nil, nil
	}
	return nil, fmt.Errorf("merged index of %s: %w", id, err)
}

// buildMerged merges the layers of a chain, beginning at its highest parent that is cached. The steps in between are
// not cached: nobody mounts the middle of an image, and 300 layers would be 300 copies of the tree.
func (s *Store) buildMerged(id digest.Digest) (_ *tarindex.Index, err error) {
	var todo []Chain // from the top down to what is cached
	var below *tarindex.Index
	for at := id; at != "" && below == nil; {
		c, err := s.Chain(at)
		if err != nil {
			return nil, fmt.Errorf("merge chain %s: %w", id, err)
		}
		todo = append(todo, c)
		if at = c.Parent; at != "" {
			if below, err = s.cachedIndex(at); err != nil {
				return nil, err
			}
		}
	}
	defer func() {
		if below != nil {
			err = errors.Join(err, below.Close())
		}
	}()
	st, err := s.newStage()
	if err != nil {
		return nil, err
	}
	defer st.remove()
	for i := len(todo) - 1; i >= 0; i-- {
		path := st.path(fmt.Sprintf("merged-%d", i))
		if err := s.mergeLayer(below, todo[i].DiffID, path, i == 0); err != nil {
			return nil, fmt.Errorf("merge layer %s of chain %s: %w", todo[i].DiffID, id, err)
		}
		if below != nil {
			if err := below.Close(); err != nil {
				return nil, err
			}
			below = nil
		}
		if i == 0 {
			break
		}
		if below, err = tarindex.Open(path); err != nil {
			return nil, err
		}
		// The mapping keeps the file until it is closed; without its name it needs no cleaning up.
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	if err := durable.Reach("merged.staged"); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.path("merged/sha256"), 0o700); err != nil { // it may be deleted as a whole
		return nil, err
	}
	if err := durable.Rename("merged", st.path("merged-0"), s.path(mergedPath(id))); err != nil {
		return nil, err
	}
	return tarindex.Open(s.path(mergedPath(id)))
}

// mergeLayer writes the merged index of below and one layer to the file path, durably if it is to be kept.
func (s *Store) mergeLayer(below *tarindex.Index, diffID digest.Digest, path string, keep bool) (err error) {
	layer, err := s.LayerIndex(diffID)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, layer.Close()) }()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := tarindex.Merge(below, layer, w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if keep {
		return f.Sync()
	}
	return nil
}
