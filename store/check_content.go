package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/layerfs/layerfs/internal/pack"
	"github.com/layerfs/layerfs/tarindex"
)

// contentBytes is how much there is to read in the pool.
func (c *checker) contentBytes() (int64, error) {
	n, err := c.s.size("content")
	if err != nil {
		return 0, err
	}
	err = c.s.packs.each(func(p *openPack) {
		for e := range p.All() {
			n += e.Size
		}
	})
	return n, err
}

// contents hashes every content that is a file of its own.
func (c *checker) contents(ctx context.Context) error {
	return c.each(ctx, "content", func(ctx context.Context, shard string) error {
		names, err := c.s.list("content/" + shard)
		if errors.Is(err, errNotDir) || len(shard) != 2 || !isHex(shard) {
			c.problem("store", "content/"+shard, "", errors.New("does not belong there; move it away"))
			return nil
		}
		if err != nil {
			return err
		}
		buf := make([]byte, 256<<10)
		for _, name := range names {
			h, err := tarindex.ParseHash(shard + name)
			if err != nil || h.String() != shard+name {
				c.problem("store", "content/"+shard+"/"+name, "", errors.New("its name is no hash; move it away"))
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := c.contentFile(h, buf); err != nil {
				c.badContent(h, err)
			}
		}
		return nil
	})
}

// contentFile hashes one content. buf is for copying.
func (c *checker) contentFile(h tarindex.Hash, buf []byte) error {
	path := c.s.path(contentPath(h))
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil {
		return err
	} else if !fi.Mode().IsRegular() {
		return corrupt(path, "it is a %s instead of a file", fi.Mode().Type())
	}
	return c.hash(h, f, path, buf)
}

// hash reads a content that lies in the file path.
func (c *checker) hash(h tarindex.Hash, r io.Reader, path string, buf []byte) error {
	sum := sha256.New()
	if _, err := io.CopyBuffer(io.MultiWriter(sum, c), struct{ io.Reader }{r}, buf); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if got := tarindex.Hash(sum.Sum(nil)); got != h {
		return fmt.Errorf("%s: %w: the bytes of content %s have the hash %s; move this file away and import its images again",
			path, ErrCorrupt, h, got)
	}
	return nil
}

// badContent reports a content, and keeps it in mind for the layers that have it.
func (c *checker) badContent(h tarindex.Hash, err error) {
	c.mu.Lock()
	c.bad[h] = err
	c.mu.Unlock()
	c.problem("content", h.String(), "", err)
}

// packs checks every pack: its table against its name, that no two contents overlap, and each content's hash.
func (c *checker) packs(ctx context.Context) error {
	return c.each(ctx, "packs", func(ctx context.Context, name string) error {
		if b, err := hex.DecodeString(name); err != nil || len(b) != sha256.Size || hex.EncodeToString(b) != name {
			c.problem("store", "packs/"+name, "", errors.New("its name is no name of a pack; move it away"))
			return nil
		}
		p, err := openPackFile(c.s.packs.dir, name)
		if gone(err) {
			return nil
		}
		if errors.Is(err, ErrCorrupt) {
			c.problem("pack", name, "", fmt.Errorf("%w: import its images again, then run `layerfs gc`", err))
			return nil
		}
		if err != nil {
			return err
		}
		defer p.release()
		return c.pack(ctx, p)
	})
}

// pack reads one pack whose table is right from its beginning to its end.
func (c *checker) pack(ctx context.Context, p *openPack) error {
	path := c.s.path("packs", p.name)
	buf := make([]byte, 256<<10)
	var end int64
	for _, e := range inOrder(p.Pack) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.Off < end {
			c.problem("pack", p.name, "", corrupt(path, "content %s lies over the one before it", e.Hash))
		}
		end = e.Off + e.Size
		if err := c.hash(e.Hash, p.Section(e), path, buf); errors.Is(err, ErrCorrupt) {
			c.badContent(e.Hash, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// inOrder gives the contents of a pack as they lie in it, so that they are read as one stream.
func inOrder(p *pack.Pack) []pack.Entry {
	all := slices.Collect(p.All())
	slices.SortFunc(all, func(a, b pack.Entry) int {
		return cmp.Or(cmp.Compare(a.Off, b.Off), cmp.Compare(a.Size, b.Size), bytes.Compare(a.Hash[:], b.Hash[:]))
	})
	return all
}
