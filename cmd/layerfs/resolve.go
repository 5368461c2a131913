package main

import (
	"errors"
	"fmt"

	"github.com/layerfs/layerfs/image"
	"github.com/layerfs/layerfs/store"
	"github.com/layerfs/layerfs/unionfs"
)

// word gives what the user typed the form in which the store knows it: "debian" is the image
// "debian:latest" if there is one; everything else (ChainIDs and their beginnings) stays as it is.
func word(s *store.Store, typed string) (string, error) {
	name, err := image.CanonicalName(typed)
	if err != nil {
		return typed, nil // not a name, so at most an id; Resolve says what is wrong with it
	}
	_, err = s.Image(name)
	switch {
	case err == nil:
		return name, nil
	case errors.Is(err, store.ErrNotFound):
		return typed, nil
	default:
		return "", err
	}
}

// resolve finds the chain that an image's name, a ChainID or the beginning of one stands for.
func resolve(s *store.Store, typed string) (store.Ref, error) {
	name, err := word(s, typed)
	if err != nil {
		return store.Ref{}, err
	}
	return s.Resolve(name)
}

// union opens what an RW layer shows, without a mount. For looking (changes, diff, commit) nothing is
// written, so it may be mounted meanwhile; for writing the caller holds rw.Lock.
func union(s *store.Store, rw *store.RW, o unionfs.Options) (fs *unionfs.FS, closeAll func() error, err error) {
	index, err := s.MergedIndex(rw.Lower())
	if err != nil {
		return nil, nil, fmt.Errorf("rw layer %s: %w", rw.Name, err)
	}
	o.Lower, o.Open = index, s.OpenContent
	o.Upper, o.Work = rw.Upper(), rw.Work()
	fs, err = unionfs.New(o)
	if err != nil {
		index.Close()
		return nil, nil, fmt.Errorf("rw layer %s: %w", rw.Name, err)
	}
	return fs, func() error { return errors.Join(fs.Close(), index.Close()) }, nil
}
