package main

import (
	"encoding/json"
	"errors"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/store"
)

func newInspect(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "inspect NAME|IMAGE|CHAINID",
		Short: "Print all that is known of an RW layer, image or chain, as JSON",
		Long: `Print all that is known of an RW layer, an image or a chain, as JSON. Its "kind" says
which it is. A word that names an RW layer and an image is the RW layer; with a tag
(work:latest) it is the image.`,
		Example: `  layerfs inspect debian:12
  layerfs inspect work | jq -r .status.mount.target
  layerfs inspect debian:12 | jq -r '.layers[].diffID'`,
		Args:              exactly(1),
		ValidArgsFunction: a.complete(func(s *store.Store) []string { return append(rwNames(s), imageNames(s)...) }),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			rw, err := s.RW(args[0])
			switch {
			case err == nil:
				return a.inspectRW(rw)
			case !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrName):
				return err
			}
			ref, err := resolve(s, args[0])
			if err != nil {
				return err
			}
			if ref.Image != nil {
				return a.inspectImage(s, *ref.Image)
			}
			return a.inspectChain(s, ref.ChainID)
		},
	}
}

func (a *app) inspectRW(rw *store.RW) error {
	status, err := rw.Status()
	if err != nil {
		return err
	}
	return a.json(struct {
		Kind string `json:"kind"`
		*store.RW
		Status store.Status `json:"status"`
		Upper  string       `json:"upper,omitempty"`
	}{"rw", rw, status, rw.Upper()})
}

func (a *app) inspectImage(s *store.Store, img store.Image) error {
	layers, err := chainLayers(s, img.ChainID)
	if err != nil {
		return err
	}
	var configuration json.RawMessage
	if img.Config != "" {
		if configuration, err = s.Blob(img.Config); err != nil {
			return err
		}
	}
	return a.json(struct {
		Kind string `json:"kind"`
		store.Image
		Layers        []chainLayer    `json:"layers"`
		Configuration json.RawMessage `json:"configuration,omitempty"` // the image's own config, as it came
	}{"image", img, layers, configuration})
}

func (a *app) inspectChain(s *store.Store, id digest.Digest) error {
	chain, err := s.Chain(id)
	if err != nil {
		return err
	}
	layers, err := chainLayers(s, id)
	if err != nil {
		return err
	}
	return a.json(struct {
		Kind string `json:"kind"`
		store.Chain
		Layers []chainLayer `json:"layers"`
	}{"chain", chain, layers})
}

// chainLayer is a layer with its place in a chain.
type chainLayer struct {
	ChainID digest.Digest `json:"chainID"`
	store.Layer
}

// chainLayers lists the layers of a chain, the base first.
func chainLayers(s *store.Store, id digest.Digest) ([]chainLayer, error) {
	chains, err := s.Ancestry(id)
	if err != nil {
		return nil, err
	}
	layers := make([]chainLayer, 0, len(chains))
	for _, c := range chains {
		layer, err := s.Layer(c.DiffID)
		if err != nil {
			return nil, err
		}
		layers = append(layers, chainLayer{c.ID, layer})
	}
	return layers, nil
}
