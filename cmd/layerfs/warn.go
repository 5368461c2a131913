package main

import (
	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/store"
)

// warningsShown is how many warnings of one layer a command prints; inspect has
// them all.
const warningsShown = 10

// warnOf tells what the tar of a layer has that its tree does not show, or shows
// differently: the layer, the entry's position and name, and why.
func (a *app) warnOf(l store.Layer) {
	for i, w := range l.Warnings {
		if i == warningsShown {
			a.note("warning: layer %s: and %d more; `layerfs inspect` has them", l.DiffID, len(l.Warnings)-i)
			return
		}
		a.note("warning: layer %s: %s", l.DiffID, w)
	}
}

// warnOfChains does the same for all layers of chains, each once.
func (a *app) warnOfChains(s *store.Store, chains ...digest.Digest) error {
	seen := make(map[digest.Digest]bool)
	for _, id := range chains {
		if id == "" { // an image without layers
			continue
		}
		layers, err := chainLayers(s, id)
		if err != nil {
			return err
		}
		for _, l := range layers {
			if !seen[l.DiffID] {
				seen[l.DiffID] = true
				a.warnOf(l.Layer)
			}
		}
	}
	return nil
}
