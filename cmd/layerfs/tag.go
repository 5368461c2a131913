package main

import (
	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/image"
	"github.com/layerfs/layerfs/store"
)

func newTag(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "tag IMAGE|CHAINID REF",
		Short: "Give an image or a chain a name; prints it",
		Long: `Give an image or a chain one more name. A name that is taken moves here. A chain that is no
image becomes one, with a config that lists its layers and says nothing else.`,
		Example: `  layerfs tag debian:12 my/base:1
  layerfs tag 4a3c1f my/snapshot:monday`,
		Args:              exactly(2),
		ValidArgsFunction: a.complete(imageNames, imageNames),
		RunE: func(_ *cobra.Command, args []string) error {
			name, err := image.CanonicalName(args[1])
			if err != nil {
				return err
			}
			s, done, err := a.use()
			if err != nil {
				return err
			}
			defer done()
			if err := tagAny(s, args[0], name); err != nil {
				return err
			}
			return a.line("%s", name)
		},
	}
}

// tagAny gives a name to what the user called typed.
func tagAny(s *store.Store, typed, name string) error {
	src, err := word(s, typed)
	if err != nil {
		return err
	}
	ref, err := s.Resolve(src)
	if err != nil {
		return err
	}
	if ref.Image != nil {
		_, err = s.Tag(src, name)
		return err
	}
	data, err := chainConfig(s, ref.ChainID)
	if err != nil {
		return err
	}
	config, err := s.PutBlob(data)
	if err != nil {
		return err
	}
	return s.PutImage(store.Image{Name: name, Config: config, ChainID: ref.ChainID})
}

// chainConfig makes the config of an image that nobody has configured: it only lists the layers. nil for the empty chain.
func chainConfig(s *store.Store, id digest.Digest) ([]byte, error) {
	chains, err := s.Ancestry(id)
	if err != nil {
		return nil, err
	}
	var data []byte
	for _, c := range chains {
		if data, err = image.NewConfig(data, c.DiffID, image.History{CreatedBy: "layerfs register"}); err != nil {
			return nil, err
		}
	}
	return data, nil
}
