package store

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/layerfs/layerfs/tarindex"
)

// A Problem is one thing that Check found wrong.
type Problem struct {
	Kind string `json:"kind"`           // store, content, pack, layer, chain, merged, image, blob, rw
	ID   string `json:"id"`             // which one: its name, digest, or path in the store
	Path string `json:"path,omitempty"` // the file inside the layer that is affected, if one is
	Err  error  `json:"-"`
}

// String is the problem on one line.
func (p Problem) String() string {
	if p.Path != "" {
		return fmt.Sprintf("%s %s: %s: %v", p.Kind, p.ID, p.Path, p.Err)
	}
	return fmt.Sprintf("%s %s: %v", p.Kind, p.ID, p.Err)
}

// Check reads everything in the store and reports what is wrong: contents that do not have their hash or are missing,
// with the files of the layers that they are; packs whose table is damaged; indexes; layers that do not come out as the tar of their DiffID; chains
// against their layers, parents and ids; images, configs and manifests; RW layers; files that do not belong there. What
// is merely unreferenced is no problem but work for GC.
//
// report is called for one problem at a time, in no particular order. progress gets the bytes read and the bytes to
// read; nil if nobody wants to know. An error means that the check could not be finished; problems are not errors.
// Other commands may work meanwhile, but for collections.
func (s *Store) Check(ctx context.Context, progress func(done, total int64), report func(Problem)) error {
	release, err := s.Use()
	if err != nil {
		return err
	}
	defer release()
	c := &checker{s: s, progress: progress, report: report, bad: map[tarindex.Hash]error{}}
	for _, step := range []func(context.Context) error{
		c.plan, c.root, c.contents, c.packs, c.layers, c.chains, c.merged, c.images, c.blobs, c.rws,
	} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("check: %w", err)
		}
	}
	return nil
}

// checker is one run of Check.
type checker struct {
	s *Store

	mu          sync.Mutex // for all below, and calls of the two functions
	progress    func(done, total int64)
	report      func(Problem)
	done, total int64
	bad         map[tarindex.Hash]error // contents that are damaged
}

// problem reports one problem.
func (c *checker) problem(kind, id, path string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report(Problem{kind, id, path, err})
}

// Write counts bytes that were read: a checker is a writer beside those that digest.
func (c *checker) Write(b []byte) (int, error) {
	if c.progress != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.done += int64(len(b))
		// What grew meanwhile does not make it 101 %.
		c.total = max(c.total, c.done)
		c.progress(c.done, c.total)
	}
	return len(b), nil
}

// plan finds out how much there is to read: every content, and every layer's tar.
func (c *checker) plan(context.Context) error {
	if c.progress == nil {
		return nil
	}
	n, err := c.contentBytes()
	if err != nil {
		return err
	}
	c.total = n
	// Those that cannot be read are reported later.
	layers, _ := c.s.Layers()
	for _, l := range layers {
		c.total += l.Size
	}
	return nil
}

// root looks for what is not part of the layout, and for parts that are missing.
func (c *checker) root(context.Context) error {
	names, err := c.s.list(".")
	if err != nil {
		return err
	}
	for _, n := range names {
		if !ours(n) {
			c.problem("store", n, "", fmt.Errorf("does not belong into a store; move it away"))
		}
	}
	for _, d := range layout {
		if fi, err := os.Lstat(c.s.path(d)); err != nil || !fi.IsDir() {
			return corrupt(c.s.path(d), "this directory of the store is missing; make it again with mkdir")
		}
	}
	return nil
}

// each calls f for every name in a directory, several at once.
func (c *checker) each(ctx context.Context, dir string, f func(ctx context.Context, name string) error) error {
	names, err := c.s.list(dir)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, n := range names {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return f(ctx, n)
		})
	}
	return g.Wait()
}
