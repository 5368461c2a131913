package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/store"
)

// A Format is a form in which Save writes.
type Format string

const (
	// OCI is an OCI image layout in a tar ("oci-archive" in skopeo and podman).
	OCI Format = "oci"
	// DockerArchive is what `docker load` and `podman load` read, with manifest.json.
	DockerArchive Format = "docker-archive"
)

// ParseFormat reads the name of a format. ErrFormat lists what there is.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case OCI, DockerArchive:
		return f, nil
	}
	return "", fmt.Errorf("%w: %q; use %s or %s", ErrFormat, s, OCI, DockerArchive)
}

// SaveOptions of a Save. The zero value is a sensible choice.
type SaveOptions struct {
	// Progress is called with the bytes of layers written so far and of all layers.
	Progress func(done, total int64)
}

// Save writes the images called refs into one archive of the given format. The configs are the bytes that came in,
// the layers are uncompressed, each once, so that their digests are the DiffIDs; each is verified on its way out.
// Equal images give equal archives. When it fails, what was written so far is of no use.
func Save(ctx context.Context, s *store.Store, refs []string, w io.Writer, format Format, o SaveOptions) error {
	if _, err := ParseFormat(string(format)); err != nil {
		return err
	}
	if len(refs) == 0 {
		return fmt.Errorf("%w: no image to save", ErrName)
	}
	release, err := s.Use()
	if err != nil {
		return err
	}
	defer release()
	images, err := loadAll(s, refs)
	if err != nil {
		return err
	}
	out := newWriter(ctx, s, w, images, o)
	if format == OCI {
		err = out.layout(images)
	} else {
		err = out.archive(images)
	}
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}

// stored is one image as it is in the store, with all the names under which it is saved.
type stored struct {
	names  []string // canonical; none when it is known by its config only
	config blob
	parsed *config
	layers []storedLayer // base first
}

// storedLayer is a layer and the chain that it is the top of.
type storedLayer struct {
	store.Layer
	chainID digest.Digest
}

// loadAll finds the images; several names of one image make one.
func loadAll(s *store.Store, refs []string) ([]*stored, error) {
	type identity struct{ config, chain digest.Digest }
	var images []*stored
	at := make(map[identity]*stored)
	for _, ref := range refs {
		img, err := find(s, ref)
		if err != nil {
			return nil, fmt.Errorf("save %s: %w", ref, err)
		}
		id := identity{img.Config, img.ChainID}
		st := at[id]
		if st == nil {
			if st, err = load(s, img); err != nil {
				return nil, fmt.Errorf("save %s: %w", ref, err)
			}
			at[id] = st
			images = append(images, st)
		}
		if !isConfigName(img.Name) {
			st.names = addName(st.names, img.Name)
		}
	}
	return images, nil
}

// find resolves what the user wrote: a name in any of its forms, or the beginning of a config's digest.
func find(s *store.Store, ref string) (store.Image, error) {
	if name, err := CanonicalName(ref); err == nil {
		img, err := s.Image(name)
		if !errors.Is(err, store.ErrNotFound) {
			return img, err
		}
	}
	r, err := s.Resolve(ref)
	if err != nil {
		return store.Image{}, err
	}
	if r.Image == nil {
		return store.Image{}, fmt.Errorf("%w: %s is a chain and no image; give it a name and a config with `layerfs commit --tag`, or export its layers", store.ErrNotFound, r.ChainID)
	}
	return *r.Image, nil
}

// load reads an image's documents and records, and sees that config and chain speak of the same layers.
func load(s *store.Store, img store.Image) (*stored, error) {
	if img.Config == "" {
		return nil, fmt.Errorf("%w: the image has a chain and no config; make one with `layerfs commit --tag`", ErrNoImage)
	}
	data, err := s.Blob(img.Config)
	if err != nil {
		return nil, err
	}
	st := &stored{config: blob{img.Config, data}}
	if st.parsed, err = parseConfig(st.config); err != nil {
		return nil, err
	}
	chains, err := s.Ancestry(img.ChainID)
	if err != nil {
		return nil, err
	}
	var diffIDs []digest.Digest
	for _, c := range chains {
		l, err := s.Layer(c.DiffID)
		if err != nil {
			return nil, err
		}
		st.layers = append(st.layers, storedLayer{l, c.ID})
		diffIDs = append(diffIDs, c.DiffID)
	}
	if !slices.Equal(diffIDs, st.parsed.RootFS.DiffIDs) {
		return nil, fmt.Errorf("%w: config %s does not list the layers of chain %s; import the image again", ErrLayerCount, img.Config, img.ChainID)
	}
	return st, nil
}

// writer writes an archive whose members depend on nothing but the images.
type writer struct {
	ctx   context.Context
	store *store.Store
	tar   *tar.Writer
	meter *meter
	done  map[string]bool // names written
}

func newWriter(ctx context.Context, s *store.Store, w io.Writer, images []*stored, o SaveOptions) *writer {
	m := &meter{report: o.Progress}
	seen := make(map[digest.Digest]bool)
	for _, img := range images {
		for _, l := range img.layers {
			if !seen[l.DiffID] {
				seen[l.DiffID] = true
				m.total += l.Size
			}
		}
	}
	m.add(0)
	return &writer{ctx: ctx, store: s, tar: tar.NewWriter(w), meter: m, done: make(map[string]bool)}
}

// header starts a member; false when one of this name was written before.
func (w *writer) header(name string, size int64) (bool, error) {
	if w.done[name] {
		return false, nil
	}
	w.done[name] = true
	return true, w.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o444, ModTime: time.Unix(0, 0),
	})
}

// directory writes a directory. Extractors that make missing parents may do that as root only (skopeo does).
func (w *writer) directory(name string) error {
	return w.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeDir, Name: name, Mode: 0o755, ModTime: time.Unix(0, 0),
	})
}

func (w *writer) file(name string, data []byte) error {
	fresh, err := w.header(name, int64(len(data)))
	if err != nil || !fresh {
		return err
	}
	_, err = w.tar.Write(data)
	return err
}

// layer writes a layer's exact tar.
func (w *writer) layer(name string, l storedLayer) error {
	fresh, err := w.header(name, l.Size)
	if err != nil || !fresh {
		return err
	}
	return w.store.LayerTar(w.ctx, l.chainID, meteredWriter{w.tar, w.meter})
}

// meteredWriter reports what goes through it.
type meteredWriter struct {
	io.Writer
	meter *meter
}

func (w meteredWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.meter.add(int64(n))
	return n, err
}
