package image

import (
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/store"
)

// Commit makes an image called name of a chain. Its config is that of the nearest image below, with the layers and a line
// of history for each that came on top; where several images are equally near, the one called base is taken, else
// the first by name. Images of the chain itself do not count: the same layer committed again gives the same image.
// With no image below it starts from nothing. The caller holds store.Use since the chain was made.
func Commit(s *store.Store, chain digest.Digest, base, name string, h History) (store.Image, error) {
	name, err := CanonicalName(name)
	if err != nil {
		return store.Image{}, err
	}
	chains, err := s.Ancestry(chain)
	if err != nil {
		return store.Image{}, err
	}
	if len(chains) == 0 {
		return store.Image{}, fmt.Errorf("%w: %s would have no layer", ErrNoImage, name)
	}
	config, depth, err := configBelow(s, chains[:len(chains)-1], base)
	if err != nil {
		return store.Image{}, err
	}
	for _, c := range chains[depth:] {
		if config, err = NewConfig(config, c.DiffID, h); err != nil {
			return store.Image{}, err
		}
	}
	img := store.Image{Name: name, ChainID: chain, Created: time.Now().UTC()}
	if img.Config, err = s.PutBlob(config); err != nil {
		return store.Image{}, err
	}
	return img, s.PutImage(img)
}

// configBelow finds the config of the highest of chains that an image has, and how many layers it is for; nil and 0
// when there is none.
func configBelow(s *store.Store, chains []store.Chain, base string) (config []byte, depth int, err error) {
	images, err := s.Images()
	if err != nil {
		return nil, 0, err
	}
	for i, c := range slices.Backward(chains) {
		var near *store.Image
		for j := range images {
			img := &images[j]
			if img.ChainID == c.ID && img.Config != "" && (near == nil || img.Name == base) {
				near = img
			}
		}
		if near == nil {
			continue
		}
		config, err := s.Blob(near.Config)
		if err != nil {
			return nil, 0, fmt.Errorf("image %s: %w", near.Name, err)
		}
		parsed, err := parseConfig(blob{near.Config, config})
		if err != nil {
			return nil, 0, fmt.Errorf("image %s: %w", near.Name, err)
		}
		if len(parsed.RootFS.DiffIDs) != i+1 {
			return nil, 0, fmt.Errorf("%w: image %s has %d layers and its config %d diff_ids; import it again",
				ErrLayerCount, near.Name, i+1, len(parsed.RootFS.DiffIDs))
		}
		return config, i + 1, nil
	}
	return nil, 0, nil
}
