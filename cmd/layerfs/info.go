package main

import (
	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/store"
)

// storeInfo tells which store and which program a command line works with.
type storeInfo struct {
	Root    string      `json:"root"`
	Version versionInfo `json:"version"`
	Images  int         `json:"images"`
	Chains  int         `json:"chains"`
	RWs     int         `json:"rwLayers"`
	Mounted int         `json:"mounted"`
}

func newInfo(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "info [--json]",
		Short: "Show which store is used, and what is in it",
		Example: `  layerfs info
  layerfs --root /scratch/me info --json | jq -r .root`,
		Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			info, err := gatherInfo(s)
			if err != nil {
				return err
			}
			if asJSON {
				return a.json(info)
			}
			return a.line("store      %s\nimages     %d\nchains     %d\nRW layers  %d, of which %d mounted\nlayerfs    %s, commit %s",
				info.Root, info.Images, info.Chains, info.RWs, info.Mounted, info.Version.Version, info.Version.Commit)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func gatherInfo(s *store.Store) (storeInfo, error) {
	info := storeInfo{Root: s.Root(), Version: thisVersion()}
	images, err := s.Images()
	if err != nil {
		return info, err
	}
	chains, err := s.Chains()
	if err != nil {
		return info, err
	}
	rws, err := s.RWs()
	if err != nil {
		return info, err
	}
	info.Images, info.Chains, info.RWs = len(images), len(chains), len(rws)
	for _, rw := range rws {
		status, err := rw.Status()
		if err != nil {
			return info, err
		}
		if status.State == store.Mounted {
			info.Mounted++
		}
	}
	return info, nil
}
