package main

import (
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/store"
	"github.com/layerfs/layerfs/tarindex"
)

func newRegister(a *app) *cobra.Command {
	var parent, expect string
	var limits tarindex.Limits
	cmd := &cobra.Command{
		Use:   "register [--parent CHAINID] [--expect DIFFID] [--limit NAME=N,...] FILE|-",
		Short: "Take in one layer tar; prints its ChainID",
		Long: `Take in one layer tar, plain or compressed with gzip, zstd, bzip2 or xz (found by
its bytes, not by its name), as a base or on top of a parent. What is there already
is not stored again. Prints the ChainID.`,
		Example: `  base=$(layerfs register rootfs.tar.gz)
  top=$(layerfs register --parent "$base" changes.tar)
  tar -C ./tree --numeric-owner -c . | layerfs register -`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, done, err := a.use()
			if err != nil {
				return err
			}
			defer done()
			var below digest.Digest
			if parent != "" {
				ref, err := resolve(s, parent)
				if err != nil {
					return fmt.Errorf("--parent: %w", err)
				}
				below = ref.ChainID
			}
			if expect != "" {
				if err := digest.Digest(expect).Validate(); err != nil {
					return usage(cmd, "--expect %s: %v; it looks like sha256:<64 digits>", expect, err)
				}
			}
			r, size, err := a.input(args[0])
			if err != nil {
				return err
			}
			defer r.Close()
			bar := a.progress("register", size)
			chain, err := s.Register(cmd.Context(), below, r, store.UnpackOptions{
				Expected: digest.Digest(expect),
				Progress: bar.add,
				Limits:   limits,
			})
			bar.end()
			if err != nil {
				return fmt.Errorf("register %s: %w", args[0], err)
			}
			if layer, err := s.Layer(chain.DiffID); err == nil {
				if layer.Size == 0 {
					a.note("warning: %s was empty; that is a layer without files. Did the command before the pipe fail?", args[0])
				}
				a.warnOf(layer)
			}
			return a.line("%s", chain.ID)
		},
	}
	cmd.Flags().StringVar(&parent, "parent", "", "image or ChainID that the layer goes on top of (default: it is a base)")
	cmd.Flags().StringVar(&expect, "expect", "", "DiffID that the tar must have")
	limitFlag(cmd, &limits)
	return cmd
}
