package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/tarindex"
)

// errNotDir is what listing a file gives.
var errNotDir = syscall.ENOTDIR

// digestName makes a file's name a digest, or reports that it is none.
func (c *checker) digestName(dir, name string) (digest.Digest, bool) {
	d := digest.NewDigestFromEncoded(digest.SHA256, name)
	if checkDigest(d) != nil {
		c.problem("store", dir+"/"+name, "", errors.New("its name is no digest; move it away"))
		return "", false
	}
	return d, true
}

// chains checks every chain: the record against its name and the ChainID rule, layer, parent, depth and sizes.
func (c *checker) chains(ctx context.Context) error {
	return c.each(ctx, "chains/sha256", func(_ context.Context, name string) error {
		id, ok := c.digestName("chains/sha256", name)
		if !ok {
			return nil
		}
		ch, err := c.s.Chain(id)
		if errors.Is(err, ErrNotFound) {
			return nil // removed since we listed
		}
		if err == nil {
			err = c.chain(ch)
		}
		if err != nil {
			c.problem("chain", id.String(), "", err)
		}
		return nil
	})
}

// chain checks one chain whose id is right.
func (c *checker) chain(ch Chain) error {
	depth, size := 1, ch.DiffSize
	if ch.Parent != "" {
		p, err := c.s.Chain(ch.Parent)
		if err != nil {
			return fmt.Errorf("%w: parent: %w", ErrCorrupt, err)
		}
		depth += p.Depth
		size += p.Size
	}
	l, err := c.s.Layer(ch.DiffID)
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: its layer is missing: %w", ErrCorrupt, err)
	}
	if err != nil {
		return nil // reported as a problem of the layer
	}
	if ch.Depth != depth || ch.Size != size || ch.DiffSize != l.ContentBytes {
		return corrupt(c.s.path(chainPath(ch.ID)), "depth %d, size %d, diffSize %d; its layers have %d, %d, %d",
			ch.Depth, ch.Size, ch.DiffSize, depth, size-ch.DiffSize+l.ContentBytes, l.ContentBytes)
	}
	return nil
}

// merged checks the cache. What is damaged there is made again when it is next used, but it says something of the disk.
func (c *checker) merged(ctx context.Context) error {
	return c.each(ctx, "merged/sha256", func(_ context.Context, name string) error {
		id, ok := c.digestName("merged/sha256", name)
		if !ok {
			return nil
		}
		x, err := tarindex.Open(c.s.path(mergedPath(id)))
		if gone(err) {
			return nil
		}
		if err == nil {
			err = errors.Join(x.Verify(), x.Close())
		}
		if err != nil {
			c.problem("merged", id.String(), "", corrupt(c.s.path(mergedPath(id)), "%v; it is a cache: delete it", err))
		}
		return nil
	})
}

// images checks every image's record and what it refers to.
func (c *checker) images(ctx context.Context) error {
	return c.each(ctx, "images", func(_ context.Context, file string) error {
		img, err := c.s.readImage(file)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			c.problem("image", "images/"+file, "", err)
			return nil
		}
		if img.ChainID != "" {
			if _, err := c.s.Chain(img.ChainID); err != nil {
				c.problem("image", img.Name, "", fmt.Errorf("%w: %w", ErrCorrupt, err))
			}
		}
		for _, b := range img.blobs() {
			if !c.s.exists(blobPath(b)) {
				c.problem("image", img.Name, "", corrupt(c.s.path(blobPath(b)), "this config or manifest is missing"))
			}
		}
		return nil
	})
}

// blobs hashes every config and manifest.
func (c *checker) blobs(ctx context.Context) error {
	return c.each(ctx, "blobs/sha256", func(_ context.Context, name string) error {
		d, ok := c.digestName("blobs/sha256", name)
		if !ok {
			return nil
		}
		if _, err := c.s.Blob(d); err != nil && !errors.Is(err, ErrNotFound) {
			c.problem("blob", d.String(), "", err)
		}
		return nil
	})
}

// rws checks every RW layer: record, directories, the chains it is over. What is in upper is the user's.
func (c *checker) rws(ctx context.Context) error {
	return c.each(ctx, "rw", func(_ context.Context, name string) error {
		if checkRWName(name) != nil {
			c.problem("store", "rw/"+name, "", errors.New("its name is no name of an rw layer; move it away"))
			return nil
		}
		rw, err := c.s.RW(name)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		bad := []error{err}
		if err == nil {
			bad = c.rw(rw)
		}
		if !c.s.exists("rw", name) {
			return nil // removed in the middle
		}
		for _, err := range bad {
			c.problem("rw", name, "", err)
		}
		return nil
	})
}

// rw checks one RW layer whose record is right.
func (c *checker) rw(rw *RW) (bad []error) {
	if _, err := rw.Mount(); err != nil {
		bad = append(bad, err)
	}
	for _, id := range slices.Compact([]digest.Digest{rw.Parent, rw.Lower()}) {
		if id == "" {
			continue
		}
		if _, err := c.s.Chain(id); err != nil {
			bad = append(bad, fmt.Errorf("%w: %w", ErrCorrupt, err))
		}
	}
	for _, dir := range []string{rw.Upper(), rw.Work()} {
		if dir == "" {
			continue
		}
		if fi, err := os.Lstat(dir); err != nil || !fi.IsDir() {
			bad = append(bad, corrupt(dir, "this directory of the rw layer is missing"))
		}
	}
	return bad
}
