package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/image"
	"github.com/layerfs/layerfs/store"
	"github.com/layerfs/layerfs/tarindex"
	"github.com/layerfs/layerfs/unionfs"
)

func newCommit(a *app) *cobra.Command {
	var tag string
	cmd := &cobra.Command{
		Use:   "commit [--tag REF] NAME",
		Short: "Make a layer of what was changed in an RW layer; prints its ChainID",
		Long: `Make a new layer of what was changed in an RW layer, on top of the chain it is over.
With --tag the result also becomes an image, whose config is that of the image the RW
layer was made from plus one layer. The RW layer stays as it is. Prints the ChainID.
With SOURCE_DATE_EPOCH the image is made at that time and no file in it is newer, so that
the same changes give the same image.`,
		Example: `  layerfs commit work
  layerfs commit work --tag my/debian:1
  SOURCE_DATE_EPOCH=0 layerfs commit work --tag my/reproducible:1`,
		Args:              exactly(1),
		ValidArgsFunction: a.complete(rwNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := tag
			if tag != "" {
				var err error
				if name, err = image.CanonicalName(tag); err != nil {
					return fmt.Errorf("--tag: %w", err)
				}
			}
			clamp, err := clampTimes()
			if err != nil {
				return usage(cmd, "%v", err)
			}
			created := time.Now().UTC()
			if clamp.Clamp != nil {
				created = time.Unix(clamp.Clamp.Sec, 0).UTC()
			}
			s, done, err := a.use()
			if err != nil {
				return err
			}
			defer done()
			return lookAgain(s, args[0], func(rw *store.RW, fs *unionfs.FS) error {
				chain, err := commit(cmd.Context(), s, rw, fs, clamp)
				if err != nil {
					return fmt.Errorf("commit %s: %w", rw.Name, err)
				}
				if name != "" {
					// Without the RW layer's name, which is often made up: the same work gives the same image.
					h := image.History{Created: created, CreatedBy: "layerfs commit"}
					if _, err := image.Commit(s, chain.ID, rw.Image, name, h); err != nil {
						return fmt.Errorf("commit %s: chain %s is stored, but not tagged: %w", rw.Name, chain.ID, err)
					}
				}
				return a.line("%s", chain.ID)
			})
		},
	}
	cmd.Flags().StringVar(&tag, "tag", "", "make an image of this name, too")
	return cmd
}

// commit pipes the diff of rw into the store as a layer on top of its parent.
func commit(ctx context.Context, s *store.Store, rw *store.RW, fs *unionfs.FS, o tarindex.TarOptions) (store.Chain, error) {
	r, w := io.Pipe()
	diffDone := make(chan struct{})
	go func() {
		defer close(diffDone)
		w.CloseWithError(fs.Diff(ctx, w, o)) // an error of the diff reaches Register as its read error
	}()
	chain, err := s.Register(ctx, rw.Parent, r, store.UnpackOptions{Limits: unlimited()})
	r.Close() // lets the diff end when Register gave up early
	<-diffDone
	return chain, err
}
