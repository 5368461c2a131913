package main

import (
	"archive/tar"
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// An image is an input, in all the forms that the sides want it in.
type image struct {
	name   string // a plain word: reference in all layouts, and the name in layerfs' store
	dir    string
	layers []v1.Descriptor // plain tars, lowest first; digest = DiffID
	files  []string        // regular files of the whole tree, sorted
	dirs   []string        // directories of the whole tree, sorted
	bytes  int64           // of the layers

	changed []int64 // of a rebuilt image: sizes of the files that its elder has not

	lowers string // folder of unpacked layers "0" (lowest), "1", ...; "" before unpack
	bare   string // all layers unpacked over each other
}

// layout is the image as an OCI layout directory with plain layers.
func (im *image) layout() string { return filepath.Join(im.dir, "plain") }

// tar is the path of one plain layer.
func (im *image) tar(i int) string { return blobPath(im.layout(), im.layers[i].Digest) }

func blobPath(layout string, d digest.Digest) string {
	return filepath.Join(layout, v1.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

// makeImage writes the layers' tars. Times are those of changed, so that a rebuilt image differs in every header.
func (b *bench) makeImage(ctx context.Context, name string, layers [][]file, changed time.Time) (*image, error) {
	im := &image{name: name, dir: b.path("image-" + name)}
	if err := makeLayout(im.layout()); err != nil {
		return nil, err
	}
	files, dirs := make(map[string]bool), make(map[string]bool)
	for i, layer := range layers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		d, err := addBlob(im.layout(), v1.MediaTypeImageLayer, func(w io.Writer) error {
			return writeTar(w, layer, changed)
		})
		if err != nil {
			return nil, fmt.Errorf("layer %d of image %s: %w", i, name, err)
		}
		im.layers = append(im.layers, d)
		im.bytes += d.Size
		for _, f := range layer {
			if hidden, ok := strings.CutPrefix(path.Base(f.path), whiteout); ok {
				delete(files, path.Join(path.Dir(f.path), hidden))
				continue
			}
			if f.open != nil {
				files[f.path] = true
			}
			for dir := path.Dir(f.path); dir != "."; dir = path.Dir(dir) {
				dirs[dir] = true
			}
		}
	}
	im.files, im.dirs = sortedKeys(files), sortedKeys(dirs)
	return im, writeIndex(im.layout(), im, im.layers)
}

func sortedKeys[V any](set map[string]V) []string { return slices.Sorted(maps.Keys(set)) }

// writeTar writes one layer as builders do: sorted, every directory before what is in it. Files are up to a year older than
// the directories.
func writeTar(w io.Writer, layer []file, mtime time.Time) error {
	slices.SortFunc(layer, func(a, b file) int { return cmp.Compare(a.path, b.path) })
	tw := tar.NewWriter(w)
	seen := map[string]bool{".": true}
	var makeDirs func(dir string) error
	makeDirs = func(dir string) error {
		if seen[dir] {
			return nil
		}
		seen[dir] = true
		return errors.Join(makeDirs(path.Dir(dir)),
			tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: mtime}))
	}
	for _, f := range layer {
		if err := makeDirs(path.Dir(f.path)); err != nil {
			return err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.path, Mode: int64(f.mode.Perm()), Size: f.size}
		h.ModTime = mtime.Add(-time.Duration(scatter(f.path, 365*24*3600)) * time.Second)
		if f.mode&fs.ModeSymlink != 0 {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, f.link, 0
		}
		if err := tw.WriteHeader(h); err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		if f.open == nil {
			continue
		}
		r, err := f.open()
		if err != nil {
			return err
		}
		if _, err := io.Copy(tw, r); err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
	}
	return tw.Close()
}

// compressed writes the image once more, its layers compressed, and returns the layout directory.
func (im *image) compressed(ctx context.Context, kind string) (layout string, blobs []string, err error) {
	layout = filepath.Join(im.dir, kind)
	if err := makeLayout(layout); err != nil {
		return "", nil, err
	}
	layers := make([]v1.Descriptor, len(im.layers))
	blobs = make([]string, len(im.layers))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(runtime.NumCPU())
	for i := range im.layers {
		work.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			d, err := addBlob(layout, v1.MediaTypeImageLayer+"+"+kind, func(w io.Writer) error {
				return compressTo(w, kind, im.tar(i))
			})
			layers[i], blobs[i] = d, blobPath(layout, d.Digest)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return "", nil, err
	}
	return layout, blobs, writeIndex(layout, im, layers)
}

func compressTo(w io.Writer, kind, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var c io.WriteCloser = gzip.NewWriter(w)
	if kind == "zstd" {
		if c, err = zstd.NewWriter(w, zstd.WithEncoderConcurrency(1)); err != nil {
			return err
		}
	}
	_, err = io.Copy(c, f)
	return errors.Join(err, c.Close())
}

func makeLayout(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, v1.ImageBlobsDir, "sha256"), 0o755); err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, v1.ImageLayoutFile), v1.ImageLayout{Version: v1.ImageLayoutVersion})
}

// addBlob stores what write writes under its digest.
func addBlob(layout, mediaType string, write func(io.Writer) error) (v1.Descriptor, error) {
	f, err := os.CreateTemp(layout, "blob-")
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer f.Close()
	sum := &counter{Hash: sha256.New()}
	buffered := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(write(io.MultiWriter(buffered, sum)), buffered.Flush(), f.Chmod(0o644)); err != nil {
		return v1.Descriptor{}, err
	}
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.NewDigest(digest.SHA256, sum), Size: sum.n}
	return d, os.Rename(f.Name(), blobPath(layout, d.Digest))
}

// counter is a hash that knows how much it has seen.
type counter struct {
	hash.Hash
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.Hash.Write(p)
}

// writeIndex writes config, manifest and index.json of an image.
func writeIndex(layout string, im *image, layers []v1.Descriptor) error {
	config := v1.Image{
		Platform: v1.Platform{Architecture: runtime.GOARCH, OS: "linux"},
		Config:   v1.ImageConfig{Cmd: []string{"true"}},
		RootFS:   v1.RootFS{Type: "layers"},
	}
	for _, l := range im.layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.Digest)
	}
	c, err := addJSON(layout, v1.MediaTypeImageConfig, config)
	if err != nil {
		return err
	}
	m, err := addJSON(layout, v1.MediaTypeImageManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Config: c, Layers: layers,
	})
	if err != nil {
		return err
	}
	m.Annotations = map[string]string{v1.AnnotationRefName: im.name}
	return writeJSON(filepath.Join(layout, v1.ImageIndexFile), v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{m},
	})
}

func addJSON(layout, mediaType string, v any) (v1.Descriptor, error) {
	return addBlob(layout, mediaType, func(w io.Writer) error { return json.NewEncoder(w).Encode(v) })
}

func writeJSON(file string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
