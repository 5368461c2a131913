package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/unionfs"
)

func newApply(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "apply NAME FILE|-",
		Short: "Apply a layer tar to an RW layer",
		Long: `Apply a layer tar (plain or compressed) to an RW layer that is not mounted: its files
are added or replaced, its whiteouts delete.`,
		Example: `  layerfs apply work changes.tar
  layerfs diff work | layerfs apply copy-of-work -`,
		Args:              exactly(2),
		ValidArgsFunction: a.complete(rwNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, done, err := a.use()
			if err != nil {
				return err
			}
			defer done()
			rw, err := s.RW(args[0])
			if err != nil {
				return err
			}
			unlock, err := rw.Lock()
			if err != nil {
				return err
			}
			defer unlock()
			r, size, err := a.input(args[1])
			if err != nil {
				return err
			}
			defer r.Close()
			fs, closeAll, err := union(s, rw, unionfs.Options{})
			if err != nil {
				return err
			}
			bar := a.progress("apply", size)
			err = fs.Apply(cmd.Context(), bar.reader(r))
			bar.end()
			if closeErr := closeAll(); err == nil {
				err = closeErr
			}
			if err != nil {
				return fmt.Errorf("apply %s to %s: %w", args[1], rw.Name, err)
			}
			return nil
		},
	}
}
