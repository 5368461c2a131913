package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/store"
)

// imageRow is an image with what its chain tells.
type imageRow struct {
	store.Image
	Layers int   `json:"layers"`
	Size   int64 `json:"size"` // sum of the layers' file contents
}

func newImages(a *app) *cobra.Command {
	var l listing
	cmd := &cobra.Command{
		Use:   "images [-q | --json]",
		Short: "List the images",
		Example: `  layerfs images
  layerfs images -q | xargs -n 1 layerfs inspect
  layerfs images --json | jq -r '.[] | .name + " " + .chainID'`,
		Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			// A damaged record does not hide the others: what can be read is listed, then the error.
			images, damaged := s.Images()
			rows := make([]imageRow, 0, len(images))
			for _, img := range images {
				row := imageRow{Image: img}
				if img.ChainID != "" {
					chain, err := s.Chain(img.ChainID)
					if err != nil {
						damaged = errors.Join(damaged, fmt.Errorf("image %s: %w", img.Name, err))
					}
					row.Layers, row.Size = chain.Depth, chain.Size
				}
				rows = append(rows, row)
			}
			err = list(a, l, rows, func(r imageRow) string { return r.Name },
				column[imageRow]{"IMAGE", func(r imageRow) string { return r.Name }},
				column[imageRow]{"CHAINID", func(r imageRow) string { return short(r.ChainID) }},
				column[imageRow]{"LAYERS", func(r imageRow) string { return count(r.Layers) }},
				column[imageRow]{"SIZE", func(r imageRow) string { return size(r.Size) }},
				column[imageRow]{"CREATED", func(r imageRow) string { return when(r.Created) }},
			)
			return errors.Join(err, damaged)
		},
	}
	l.flags(cmd)
	return cmd
}
