package main

import (
	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/store"
)

func newDf(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "df [--json]",
		Short: "Show what the store holds and what sharing saves",
		Long: `Show what the store holds: file contents, each stored once, against what the files of all
layers and of all images would need by themselves; and RW layers, records, caches, leftovers.`,
		Example: `  layerfs df
  layerfs df --json | jq .contentBytes`,
		Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			usage, err := s.Usage()
			if err != nil {
				return err
			}
			if asJSON {
				return a.json(usage)
			}
			return a.usageTable(usage)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) usageTable(u store.Usage) error {
	rows := [][]string{
		{"contents, each once", count(u.Contents), size(u.ContentBytes)},
		{"  packs of small ones", count(u.Packs), size(u.PackBytes)},
		{"  as files of all layers", count(u.Layers), size(u.LayerBytes)},
		{"  as files of all images", count(u.Images), size(u.ImageBytes)},
		{"RW layers", count(u.RWs), size(u.RWBytes)},
		{"records and indexes", count(u.Chains), size(u.RecordBytes)},
		{"cached merged indexes", "-", size(u.MergedBytes)},
		{"leftovers and work in flight", "-", size(u.LitterBytes)},
		{"free on this file system", "-", size(u.FreeBytes)},
	}
	heads := []string{"WHAT", "COUNT", "SIZE"}
	return a.table(len(rows), len(heads), func(row, col int) string {
		if row < 0 {
			return heads[col]
		}
		return rows[row][col]
	})
}
