package store

import (
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/internal/durable"
	"github.com/layerfs/layerfs/tarindex"
)

// A Removal is what RemoveImage removed.
type Removal struct {
	Chains []Chain `json:"chains"` // child first; empty if something else needs them
	// Deferred: other commands were using the store all the time. The name is gone, the layers stay until the next
	// collection.
	Deferred bool `json:"deferred"`
}

// RemoveImage removes the name of an image and then what only this image needed: its chain, child first, down to the
// first one that another image, an RW layer or another chain needs; their layers, contents and blobs. Contents go as in a
// collection: those in a pack that others need, too, when a tenth of it is for nothing. Like GC it needs
// the store for itself and waits up to Options.Patience. ErrNotFound. A damaged image record can be removed; what it
// referred to is then left to GC. With an error that is not ErrNotFound the name may be gone and its layers still there.
//
// Steps: rmi.removed, rmi.durable, then those of GC.
func (s *Store) RemoveImage(name string) (Removal, error) {
	release, alone, err := s.exclusive(s.patience)
	if err != nil {
		return Removal{}, err
	}
	defer func() { release() }()
	img, damaged := s.Image(name)
	if errors.Is(damaged, ErrNotFound) {
		return Removal{}, fmt.Errorf("%w; `layerfs images` lists what there is", damaged)
	}
	if err := durable.Remove("rmi", s.path(imagePath(name))); gone(err) {
		return Removal{}, fmt.Errorf("image %q: %w", name, ErrNotFound)
	} else if err != nil {
		return Removal{}, err
	}
	if damaged != nil || !alone {
		return Removal{Deferred: true}, nil
	}
	g, err := s.neededBy(img)
	defer g.close()
	if err != nil {
		return Removal{Deferred: true}, fmt.Errorf("image %s is removed, its layers are not: %w", name, err)
	}
	b, err := s.sweep(g)
	// Deleting needs no lock.
	release()
	release = func() {}
	if b != nil {
		err = joinEmpty(err, b)
	}
	return Removal{Chains: g.chains}, err
}

// joinEmpty empties the bin and adds its error to that of filling it.
func joinEmpty(err error, b *bin) error { return errors.Join(err, b.empty()) }

// neededBy finds what nothing needs now that the image is gone. Its cost is a look at every record, and at the indexes
// of the other layers if a layer goes.
func (s *Store) neededBy(img Image) (garbage, error) {
	var g garbage
	r, err := s.roots()
	if err != nil {
		return g, err
	}
	for _, b := range img.blobs() {
		if !r.blobs[b] {
			g.blobs = append(g.blobs, blobPath(b))
		}
	}
	all, err := s.Chains()
	if err != nil {
		return g, err
	}
	children := map[digest.Digest]int{}
	users := map[digest.Digest]int{} // of a layer: chains with it on top
	for _, c := range all {
		children[c.Parent]++
		users[c.DiffID]++
	}
	for id := img.ChainID; id != "" && children[id] == 0 && r.chains[id] == ""; {
		c, err := s.Chain(id)
		if err != nil {
			return g, err
		}
		g.chains = append(g.chains, c)
		if s.exists(mergedPath(id)) {
			g.merged = append(g.merged, mergedPath(id))
		}
		if users[c.DiffID]--; users[c.DiffID] == 0 {
			g.layers = append(g.layers, c.DiffID)
		}
		children[c.Parent]--
		id = c.Parent
	}
	return g, s.addContents(&g)
}

// addContents adds to the garbage what the pool has only for its layers, and what it has for nothing at all.
func (s *Store) addContents(g *garbage) error {
	if len(g.layers) == 0 {
		return nil
	}
	going := map[string]bool{}
	for _, l := range g.layers {
		going[l.Encoded()] = true
	}
	stay, err := s.unlisted("layers/sha256", func(name string) bool { return going[name] })
	if err != nil {
		return err
	}
	live := map[tarindex.Hash]int64{}
	for _, path := range stay {
		d := digest.NewDigestFromEncoded(digest.SHA256, path[len("layers/sha256/"):])
		if err := s.markContents(d, live); err != nil {
			return err
		}
	}
	g.pool, err = s.planPool(live)
	if err == nil {
		g.made, err = s.repack(g.pool)
	}
	return err
}
