package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/store"
	"github.com/layerfs/layerfs/unionfs"
)

func newDiff(a *app) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "diff [-o FILE] NAME",
		Short: "Write what was changed in an RW layer as a layer tar",
		Long: `Write what was changed in an RW layer as an OCI layer tar: the same changes give the same
bytes. It may be mounted meanwhile; what is written to it during the diff may be in it or not.
With SOURCE_DATE_EPOCH no time in it is later than that.`,
		Example: `  layerfs diff work -o changes.tar
  layerfs diff work | tar -tv`,
		Args:              exactly(1),
		ValidArgsFunction: a.complete(rwNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			clamp, err := clampTimes()
			if err != nil {
				return usage(cmd, "%v", err)
			}
			s, done, err := a.use()
			if err != nil {
				return err
			}
			defer done()
			return look(s, args[0], func(_ *store.RW, fs *unionfs.FS) error {
				return a.output(cmd, path, func(w io.Writer) error { return fs.Diff(cmd.Context(), w, clamp) })
			})
		},
	}
	outputFlag(cmd, &path)
	return cmd
}
