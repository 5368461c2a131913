package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/store"
)

func newCreate(a *app) *cobra.Command {
	var name, init string
	var readOnly bool
	cmd := &cobra.Command{
		Use:   "create [--name NAME] [--read-only] [--init CHAINID] IMAGE|CHAINID",
		Short: "Make an RW layer without mounting it; prints its name",
		Long: `Make an RW layer over an image or a chain. It is mounted later with mount --name.

With --init, the RW layer shows a chain that has one layer more than IMAGE|CHAINID: set-up
content such as /etc/hosts, visible in the mount and absent from changes, diff and commit.`,
		Example: `  layerfs create --name work debian:12
  layerfs mount --name work ~/mnt

  init=$(layerfs register --parent debian:12 setup.tar)
  layerfs create --name box --init "$init" debian:12`,
		Args:              exactly(1),
		ValidArgsFunction: a.complete(imageNames),
		RunE: func(_ *cobra.Command, args []string) error {
			s, done, err := a.use()
			if err != nil {
				return err
			}
			defer done()
			o := store.RWOptions{ReadOnly: readOnly}
			if init != "" {
				ref, err := resolve(s, init)
				if err != nil {
					return fmt.Errorf("--init: %w", err)
				}
				o.Init = ref.ChainID
			}
			rw, err := createRW(s, name, args[0], o)
			if err != nil {
				return err
			}
			return a.line("%s", rw.Name)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the RW layer (default: a generated one)")
	cmd.Flags().StringVar(&init, "init", "", "ChainID of IMAGE|CHAINID plus one init layer")
	cmd.Flags().BoolVar(&readOnly, "read-only", false, "a view that cannot be written")
	return cmd
}

// createRW makes an RW layer over what the user called typed.
func createRW(s *store.Store, name, typed string, o store.RWOptions) (*store.RW, error) {
	ref, err := resolve(s, typed)
	if err != nil {
		return nil, err
	}
	if ref.Image != nil {
		o.Image = ref.Image.Name
	}
	return s.CreateRW(name, ref.ChainID, o)
}
