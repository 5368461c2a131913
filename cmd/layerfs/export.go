package main

import (
	"io"

	"github.com/spf13/cobra"
)

func newExport(a *app) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "export [-o FILE] CHAINID",
		Short: "Write a layer's exact tar",
		Long: `Write the tar of the top layer of a chain, byte for byte as it came: its SHA-256 is the
layer's DiffID, which is checked while it is written.`,
		Example: `  layerfs export 4a3c1f | sha256sum
  layerfs export -o layer.tar sha256:4a3c...
  layerfs layers -q | while read -r id; do layerfs export "$id" | sha256sum; done`,
		Args:              exactly(1),
		ValidArgsFunction: a.complete(imageNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, done, err := a.use()
			if err != nil {
				return err
			}
			defer done()
			ref, err := resolve(s, args[0])
			if err != nil {
				return err
			}
			return a.output(cmd, path, func(w io.Writer) error {
				return s.LayerTar(cmd.Context(), ref.ChainID, w)
			})
		},
	}
	outputFlag(cmd, &path)
	return cmd
}
