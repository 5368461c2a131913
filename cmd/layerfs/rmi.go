package main

import (
	"github.com/spf13/cobra"
)

func newRmi(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rmi IMAGE...",
		Short: "Remove names of images; prints the chains removed with them, child first",
		Long: `Remove the names of images, and with the last name of a chain the chain itself and those
below it that nothing else needs. Prints the ChainIDs of what was removed, child first.
A chain under an RW layer stays.`,
		Example: `  layerfs rmi my/base:1
  layerfs rmi debian:12 debian:11`,
		Args:              between(1, manyArguments),
		ValidArgsFunction: a.complete(imageNames),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			for _, arg := range args {
				name, err := word(s, arg)
				if err != nil {
					return err
				}
				removed, err := s.RemoveImage(name)
				if err != nil {
					return err
				}
				for _, chain := range removed.Chains {
					if err := a.line("%s", chain.ID); err != nil {
						return err
					}
				}
				if removed.Deferred {
					a.note("other commands are running, so the layers of %s stay for now; `layerfs gc` removes them", name)
				}
			}
			return nil
		},
	}
}
