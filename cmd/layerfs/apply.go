package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/store"
	"github.com/layerfs/layerfs/tarindex"
	"github.com/layerfs/layerfs/unionfs"
)

func newApply(a *app) *cobra.Command {
	var limits tarindex.Limits
	cmd := &cobra.Command{
		Use:   "apply [--limit NAME=N,...] NAME FILE|-",
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
			bar := a.progress("apply", size)
			layer, err := s.Unpack(cmd.Context(), r, store.UnpackOptions{Progress: bar.add, Limits: limits})
			bar.end()
			if err == nil {
				err = apply(cmd.Context(), s, rw, layer)
			}
			if err != nil {
				return fmt.Errorf("apply %s to %s: %w", args[1], rw.Name, err)
			}
			a.warnOf(layer)
			return nil
		},
	}
	limitFlag(cmd, &limits)
	return cmd
}

// apply puts an unpacked layer on top of what rw shows. Nothing refers to the layer afterwards: gc removes it, but
// for the contents that it shares with others.
func apply(ctx context.Context, s *store.Store, rw *store.RW, layer store.Layer) error {
	index, err := s.LayerIndex(layer.DiffID)
	if err != nil {
		return err
	}
	defer index.Close()
	fs, closeAll, err := union(s, rw, unionfs.Options{})
	if err != nil {
		return err
	}
	return errors.Join(fs.Apply(ctx, index), closeAll())
}
