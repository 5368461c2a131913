package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
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
layer was made from plus one layer. The RW layer stays as it is. Prints the ChainID.`,
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
					if err := tagCommit(s, rw, chain, name, created); err != nil {
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
	chain, err := s.Register(ctx, rw.Parent, r, store.UnpackOptions{})
	r.Close() // lets the diff end when Register gave up early
	<-diffDone
	return chain, err
}

// tagCommit makes an image of a committed chain. Its config continues that of the image below.
func tagCommit(s *store.Store, rw *store.RW, chain store.Chain, name string, created time.Time) error {
	parent, err := parentConfig(s, rw)
	if err != nil {
		return err
	}
	data, err := image.NewConfig(parent, chain.DiffID, image.History{Created: created, CreatedBy: "layerfs commit " + rw.Name})
	if err != nil {
		return err
	}
	config, err := s.PutBlob(data)
	if err != nil {
		return err
	}
	return s.PutImage(store.Image{Name: name, Config: config, ChainID: chain.ID})
}

// parentConfig is the config of the image below rw, or one made up if there is no image.
func parentConfig(s *store.Store, rw *store.RW) ([]byte, error) {
	config, err := configBelow(s, rw)
	if err != nil {
		return nil, err
	}
	if config != "" {
		return s.Blob(config)
	}
	return chainConfig(s, rw.Parent)
}

// chainConfig makes the config of an image that nobody has configured: it only lists the layers. nil for the empty chain.
func chainConfig(s *store.Store, id digest.Digest) ([]byte, error) {
	chains, err := s.Ancestry(id)
	if err != nil {
		return nil, err
	}
	var data []byte
	for _, c := range chains {
		if data, err = image.NewConfig(data, c.DiffID, image.History{CreatedBy: "layerfs register"}); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// configBelow finds the config of the image that rw is over: the one it was made from if that name still
// means the same chain, else any image of that chain.
func configBelow(s *store.Store, rw *store.RW) (digest.Digest, error) {
	images, err := s.Images()
	if err != nil {
		return "", err
	}
	var config digest.Digest
	for _, img := range images {
		if img.ChainID != rw.Parent || img.Config == "" {
			continue
		}
		if config == "" || img.Name == rw.Image {
			config = img.Config
		}
	}
	return config, nil
}
