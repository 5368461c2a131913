package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/tarindex"
)

// layers checks every layer directory.
func (c *checker) layers(ctx context.Context) error {
	return c.each(ctx, "layers/sha256", func(ctx context.Context, name string) error {
		diffID, ok := c.digestName("layers/sha256", name)
		if !ok {
			return nil
		}
		files, err := c.s.list(layerDir(diffID))
		if err != nil {
			c.problem("layer", diffID.String(), "", err)
			return nil
		}
		for _, f := range files {
			if !slices.Contains([]string{"index", "record", "tar-split"}, f) {
				c.problem("store", layerDir(diffID)+"/"+f, "", errors.New("does not belong there; move it away"))
			}
		}
		return c.layer(ctx, diffID)
	})
}

// layer checks one layer: record, index, the contents that the index refers to, and the tar.
func (c *checker) layer(ctx context.Context, diffID digest.Digest) error {
	id := diffID.String()
	l, err := c.s.Layer(diffID)
	if err != nil {
		c.problem("layer", id, "", err)
	}
	if x, err := c.s.LayerIndex(diffID); err != nil {
		c.problem("layer", id, "", err)
	} else {
		if err := x.Verify(); err != nil {
			c.problem("layer", id, "", corrupt(c.s.path(layerDir(diffID), "index"), "%v", err))
		} else {
			c.files(id, x)
		}
		if err := x.Close(); err != nil {
			return err
		}
	}
	n := &counter{w: c}
	if err := c.s.assemble(ctx, diffID, n); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.problem("layer", id, "", fmt.Errorf("the tar cannot be made again: %w", err))
	} else if l.DiffID != "" && n.n != l.Size {
		c.problem("layer", id, "", corrupt(c.s.path(layerDir(diffID), "record"), "the tar has %d bytes, the record says %d", n.n, l.Size))
	}
	return nil
}

// files reports each file of a layer whose content is damaged or missing.
func (c *checker) files(id string, x *tarindex.Index) {
	for dir := range tarindex.Ino(x.Len()) {
		for pos := range x.Children(dir) {
			name, i := x.Child(dir, pos)
			h, ok := x.Content(i)
			if !ok {
				continue
			}
			c.mu.Lock()
			err := c.bad[h]
			c.mu.Unlock()
			if err == nil {
				err = c.s.findContent(h, x.Attr(i).Size)
			}
			if err != nil {
				path := x.Path(dir)
				if path != "/" {
					path += "/"
				}
				c.problem("layer", id, path+name, err)
			}
		}
	}
}

// counter counts what is written through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
