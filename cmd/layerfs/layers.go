package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/store"
)

func newLayers(a *app) *cobra.Command {
	var l listing
	cmd := &cobra.Command{
		Use:   "layers [-q | --json]",
		Short: "List the chains of layers",
		Long: `List every chain: a layer on top of its parents. DIFF is what the layer itself brings,
SIZE is the sum of the chain, both in bytes of file contents.`,
		Example: `  layerfs layers
  layerfs layers --json | jq -r '.[] | select(.parent == null) | .chainID'`,
		Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			chains, damaged := s.Chains()
			err = list(a, l, chains, func(c store.Chain) string { return c.ID.String() },
				column[store.Chain]{"CHAINID", func(c store.Chain) string { return short(c.ID) }},
				column[store.Chain]{"DIFFID", func(c store.Chain) string { return short(c.DiffID) }},
				column[store.Chain]{"PARENT", func(c store.Chain) string { return short(c.Parent) }},
				column[store.Chain]{"DEPTH", func(c store.Chain) string { return count(c.Depth) }},
				column[store.Chain]{"DIFF", func(c store.Chain) string { return size(c.DiffSize) }},
				column[store.Chain]{"SIZE", func(c store.Chain) string { return size(c.Size) }},
				column[store.Chain]{"CREATED", func(c store.Chain) string { return when(c.Created) }},
			)
			return errors.Join(err, damaged)
		},
	}
	l.flags(cmd)
	return cmd
}
