package main

import (
	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/image"
)

func newTag(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "tag IMAGE|CHAINID REF",
		Short: "Give an image or a chain a name; prints it",
		Long:  "Give an image or a chain one more name. A name that is taken moves here.",
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
			src, err := word(s, args[0])
			if err != nil {
				return err
			}
			img, err := s.Tag(src, name)
			if err != nil {
				return err
			}
			return a.line("%s", img.Name)
		},
	}
}
