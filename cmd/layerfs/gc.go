package main

import (
	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/store"
)

func newGC(a *app) *cobra.Command {
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "gc [--dry-run] [--json]",
		Short: "Remove what nothing reaches",
		Long: `Remove what no image and no RW layer reaches, and what killed commands left behind.
While other commands run it waits a few seconds, then clears only the latter.`,
		Example: `  layerfs gc
  layerfs gc --dry-run`,
		Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			report, err := s.GC(store.GCOptions{DryRun: dryRun})
			if err != nil {
				return err
			}
			if asJSON {
				return a.json(report)
			}
			return a.collected(report, dryRun)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be removed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// collected prints the chains removed, for scripts, and the sum of it all, for people.
func (a *app) collected(r store.Report, dryRun bool) error {
	for _, chain := range r.Chains {
		if err := a.line("%s", chain.ID); err != nil {
			return err
		}
	}
	verb := "removed"
	if dryRun {
		verb = "would remove"
	}
	a.note("%s %d chains, %d layers, %d contents and %d blobs (%s), and %d leftovers of killed commands",
		verb, len(r.Chains), len(r.Layers), r.Contents, r.Blobs, size(r.Bytes), r.Litter)
	if r.Deferred {
		a.note("other commands are using the store, so only leftovers were looked at; run gc again when they are done")
	}
	return nil
}
