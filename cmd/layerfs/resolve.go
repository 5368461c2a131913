package main

import (
	"errors"

	"github.com/layerfs/layerfs/image"
	"github.com/layerfs/layerfs/store"
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
