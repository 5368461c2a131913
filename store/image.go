package store

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/internal/durable"
)

// An Image is a name for a chain, with the config and manifest it came with: images/<sha256 of the name>.
type Image struct {
	Name     string        `json:"name"`               // canonical familiar reference, e.g. "debian:12"
	Config   digest.Digest `json:"config,omitempty"`   // blob; "" for a bare chain that was given a name
	Manifest digest.Digest `json:"manifest,omitempty"` // blob; "" if it came without one
	ChainID  digest.Digest `json:"chainID,omitempty"`  // "" for an image without layers
	Created  time.Time     `json:"created"`            // when the name was given in this store
}

// imagePath is the record of an image, relative to the root. Names have slashes, colons and up to 400 bytes, and some
// file systems fold case; a digest of the name has none of these troubles.
func imagePath(name string) string { return "images/" + digest.FromString(name).Encoded() }

// checkImageName refuses names that could not be printed in a list. What a reference is, is not the store's business.
func checkImageName(name string) error {
	if name == "" || len(name) > 1024 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return fmt.Errorf("%w: %q cannot be the name of an image: empty, too long, or with blanks or control characters", ErrName, name)
	}
	return nil
}

// PutImage gives a name to a chain. A name that exists moves to it. Chain, config and manifest must be in the store
// (ErrNotFound). Created is set to now if it is zero. Call it under the Use that covers AddChain and PutBlob.
//
// Steps: image.staged, image.renamed, image.durable.
func (s *Store) PutImage(img Image) error {
	if err := checkImageName(img.Name); err != nil {
		return err
	}
	release, err := s.Use()
	if err != nil {
		return err
	}
	defer release()
	if img.ChainID != "" {
		if _, err := s.Chain(img.ChainID); err != nil {
			return fmt.Errorf("image %s: %w", img.Name, err)
		}
	}
	for _, blob := range img.blobs() {
		if _, err := s.Blob(blob); err != nil {
			return fmt.Errorf("image %s: %w", img.Name, err)
		}
	}
	if err := durable.SyncDirs([]string{s.path("chains/sha256"), s.path("blobs/sha256")}); err != nil {
		return err
	}
	if img.Created.IsZero() {
		img.Created = now()
	}
	return s.commitRecord("image", s.path(imagePath(img.Name)), img)
}

// blobs are the blobs that the image refers to.
func (img Image) blobs() []digest.Digest {
	var ds []digest.Digest
	for _, d := range []digest.Digest{img.Config, img.Manifest} {
		if d != "" {
			ds = append(ds, d)
		}
	}
	return ds
}

// Image reads the image of exactly that name. ErrNotFound, ErrCorrupt.
func (s *Store) Image(name string) (Image, error) {
	img, err := s.readImage(strings.TrimPrefix(imagePath(name), "images/"))
	if errors.Is(err, ErrNotFound) {
		return Image{}, fmt.Errorf("image %q: %w", name, ErrNotFound)
	}
	return img, err
}

// readImage reads images/<file>.
func (s *Store) readImage(file string) (Image, error) {
	var img Image
	path := s.path("images", file)
	if err := readRecord(path, "image", &img); gone(err) {
		return Image{}, fmt.Errorf("%s: %w", path, ErrNotFound)
	} else if err != nil {
		return Image{}, err
	}
	if imagePath(img.Name) != "images/"+file {
		return Image{}, corrupt(path, "it is the record of image %q, which belongs to %s", img.Name, imagePath(img.Name))
	}
	for _, d := range append(img.blobs(), img.ChainID) {
		if d != "" && checkDigest(d) != nil {
			return Image{}, corrupt(path, "%q is no digest", string(d))
		}
	}
	return img, nil
}

// Images lists all images by name. What cannot be read does not hide the others: the error names it, the list has the
// rest.
func (s *Store) Images() ([]Image, error) {
	all, err := listNames(s, "images", s.readImage)
	sortBy(all, func(i Image) string { return i.Name })
	return all, err
}

// Tag gives the name dst to what src resolves to: an image (then with its config and manifest) or a chain.
func (s *Store) Tag(src, dst string) (Image, error) {
	release, err := s.Use()
	if err != nil {
		return Image{}, err
	}
	defer release()
	ref, err := s.Resolve(src)
	if err != nil {
		return Image{}, err
	}
	img := Image{Name: dst, ChainID: ref.ChainID, Created: now()}
	if ref.Image != nil {
		img.Config, img.Manifest = ref.Image.Config, ref.Image.Manifest
	}
	return img, s.PutImage(img)
}
