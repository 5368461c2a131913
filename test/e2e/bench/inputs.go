package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// built is the time in the layers' headers, rebuilt that of the same image built once more.
var (
	built   = time.Date(2025, time.June, 1, 12, 0, 0, 0, time.UTC)
	rebuilt = built.Add(24 * time.Hour)
)

// input makes an image once and keeps it for later contests.
func (b *bench) input(ctx context.Context, name string, tree func() ([][]file, error), mtime time.Time) (*image, error) {
	if im := b.inputs[name]; im != nil {
		return im, nil
	}
	layers, err := tree()
	if err != nil {
		return nil, err
	}
	im, err := b.makeImage(ctx, name, layers, mtime)
	if err != nil {
		return nil, err
	}
	b.logf("      input %s: %d files, %d layers, %d MB", name, len(im.files), len(im.layers), im.bytes/1e6)
	b.report.Inputs = append(b.report.Inputs, inputInfo{name, len(im.files), len(im.layers), im.bytes, 0})
	b.inputs[name] = im
	return im, nil
}

// host lists the files of this machine that images are made of, once.
func (b *bench) host(ctx context.Context) (map[string][]file, error) {
	var err error
	if b.hostTree == nil {
		b.hostTree, err = hostFiles(ctx, b.fileLimit)
	}
	return b.hostTree, err
}

func (b *bench) debian(ctx context.Context) (*image, error) {
	return b.input(ctx, "debian", func() ([][]file, error) {
		host, err := b.host(ctx)
		return debianLike(host, b.files), err
	}, built)
}

func (b *bench) python(ctx context.Context) (*image, error) {
	return b.input(ctx, "python", func() ([][]file, error) {
		host, err := b.host(ctx)
		return dockerfile(host, pythonStages, b.files, b.fileLimit), err
	}, built)
}

// pythonRebuilt is the same image with one file in 1,000 changed and every header new.
func (b *bench) pythonRebuilt(ctx context.Context) (*image, error) {
	var changed []int64
	im, err := b.input(ctx, "python-rebuilt", func() ([][]file, error) {
		host, err := b.host(ctx)
		layers := dockerfile(host, pythonStages, b.files, b.fileLimit)
		for _, layer := range layers {
			for i, f := range layer {
				if f.size > 0 && scatter("rebuilt "+f.path, 1000) == 0 {
					layer[i] = edited(f)
					changed = append(changed, layer[i].size)
				}
			}
		}
		return layers, err
	}, rebuilt)
	if err == nil && changed != nil {
		im.changed = changed
	}
	return im, err
}

func (b *bench) node(ctx context.Context) (*image, error) {
	return b.input(ctx, "node", func() ([][]file, error) {
		host, err := b.host(ctx)
		return nodeLike(host, b.small, b.fileLimit), err
	}, built)
}

func (b *bench) smallTree(ctx context.Context) (*image, error) {
	return b.input(ctx, "small", func() ([][]file, error) { return smallFiles(b.small), nil }, built)
}

func (b *bench) bigTree(ctx context.Context) (*image, error) {
	return b.input(ctx, "big", func() ([][]file, error) { return bigFile(b.big), nil }, built)
}

func (b *bench) chainTree(ctx context.Context, layers int) (*image, error) {
	return b.input(ctx, "chain-"+strconv.Itoa(layers), func() ([][]file, error) { return chain(layers, b.chainFiles), nil }, built)
}

// unpack brings an image to all who mount: into layerfs' store, into a folder per layer, and into one for all.
func (b *bench) unpack(ctx context.Context, im *image) error {
	if im.lowers != "" {
		return nil
	}
	if _, err := b.do(ctx, b.layerfs, "--root", b.store, "import", im.layout()); err != nil {
		return err
	}
	lowers, bare := filepath.Join(im.dir, "lower"), filepath.Join(im.dir, "bare")
	for i := range im.layers {
		for _, dir := range []string{filepath.Join(lowers, strconv.Itoa(i)), bare} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			if _, err := b.do(ctx, "tar", "--no-same-owner", "-xf", im.tar(i), "-C", dir); err != nil {
				return fmt.Errorf("unpack layer %d of image %s: %w", i, im.name, err)
			}
		}
	}
	im.lowers, im.bare = lowers, bare
	return nil
}
