package store

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/opencontainers/go-digest"
)

// A Ref is what a user's word for a chain stands for.
type Ref struct {
	ChainID digest.Digest
	Image   *Image // nil if the word named the chain itself
}

// Resolve finds what ref means, the first of: the name of an image; a ChainID, with or without "sha256:" (the DiffID of a
// base is its ChainID); the beginning of the ChainID of one chain or of the config digest of one image.
// ErrNotFound; ErrAmbiguous lists what begins so.
func (s *Store) Resolve(ref string) (Ref, error) {
	if ref == "" {
		return Ref{}, fmt.Errorf("%w: an empty word names no image and no chain", ErrName)
	}
	img, err := s.Image(ref)
	if err == nil {
		return Ref{img.ChainID, &img}, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return Ref{}, err
	}
	hex := strings.TrimPrefix(ref, "sha256:")
	if !isHex(hex) {
		return Ref{}, fmt.Errorf("image or chain %q: %w; `layerfs images` lists what there is", ref, ErrNotFound)
	}
	if id := digest.NewDigestFromEncoded(digest.SHA256, hex); checkDigest(id) == nil {
		if c, err := s.Chain(id); err == nil {
			return Ref{ChainID: c.ID}, nil
		} else if !errors.Is(err, ErrNotFound) {
			return Ref{}, err
		}
	}
	return s.resolvePrefix(ref, hex)
}

// resolvePrefix looks through the names of all chains and the configs of all images.
func (s *Store) resolvePrefix(ref, hex string) (Ref, error) {
	ids, err := s.list("chains/sha256")
	if err != nil {
		return Ref{}, err
	}
	found := map[digest.Digest]Ref{}
	var what []string
	for _, id := range ids[sort.SearchStrings(ids, hex):] {
		if !strings.HasPrefix(id, hex) {
			break
		}
		d := digest.NewDigestFromEncoded(digest.SHA256, id)
		found[d] = Ref{ChainID: d}
		what = append(what, "chain "+d.String())
	}
	imgs, damaged := s.Images()
	for _, img := range imgs {
		if img.Config != "" && strings.HasPrefix(img.Config.Encoded(), hex) {
			found[img.ChainID] = Ref{img.ChainID, &img}
			what = append(what, fmt.Sprintf("image %s (config %s)", img.Name, img.Config))
		}
	}
	switch {
	case len(found) > 1:
		return Ref{}, fmt.Errorf("%q: %w: %s", ref, ErrAmbiguous, strings.Join(what, ", "))
	case len(found) == 0:
		err := fmt.Errorf("image or chain %q: %w; `layerfs images` lists what there is", ref, ErrNotFound)
		return Ref{}, errors.Join(err, damaged)
	}
	for _, r := range found {
		if r.Image == nil {
			_, err = s.Chain(r.ChainID)
		}
		return r, err
	}
	panic("unreachable")
}

// isHex tells whether s is one or more lower-case hexadecimal digits.
func isHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdef") == ""
}
