package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/store"
)

func newRm(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rm NAME...",
		Short: "Remove RW layers and all that was written in them",
		Long:  "Remove RW layers and all that was written in them. A mounted one is refused.",
		Example: `  layerfs rm work
  layerfs ps -q | xargs -r layerfs rm`,
		Args:              between(1, manyArguments),
		ValidArgsFunction: a.complete(rwNames),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			var failed []error // does not keep the others
			for _, name := range args {
				failed = append(failed, removeRW(s, name))
			}
			return errors.Join(failed...)
		},
	}
}

// removeRW removes an RW layer and, if its process died, the mount that it left behind.
func removeRW(s *store.Store, name string) error {
	rw, err := s.RW(name)
	if err != nil {
		// A damaged record is a reason to remove it, and RemoveRW tells what else is wrong.
		return s.RemoveRW(name)
	}
	status, err := rw.Status()
	if err != nil {
		return err
	}
	if status.State == store.Dead {
		if err := unmount(rw, status.Mount.Target, true); err != nil {
			return err
		}
	}
	return s.RemoveRW(name)
}
