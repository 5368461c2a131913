package store

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/internal/durable"
	"github.com/layerfs/layerfs/tarindex"
)

// GCOptions change what a collection does.
type GCOptions struct {
	DryRun bool // only report
}

// A Report is what a collection removed, or would remove.
type Report struct {
	Chains   []Chain         `json:"chains"`   // child first; of one whose record is damaged only the ID is known
	Layers   []digest.Digest `json:"layers"`   // DiffIDs
	Contents int             `json:"contents"` // that nothing reached
	Blobs    int             `json:"blobs"`
	Merged   int             `json:"merged"` // cached merged indexes of the chains removed
	Litter   int             `json:"litter"` // directories of dead processes in staging and trash
	Bytes    int64           `json:"bytes"`  // that the disk gets back for all these, but for the litter
	// Deferred: other commands were using the store all the time; only litter was removed. Try again later.
	Deferred bool `json:"deferred"`
}

// GC removes what no image and no RW layer reaches, and what dead processes left behind. It waits up to
// Options.Patience for commands that use the store, while it marks nobody can begin to use it, and what it found is
// renamed into the trash under that lock and deleted after it. Mounted layers are safe: their RW layer refers to them.
//
// A content in a pack goes when the pack does; see slack.go. If anything that might refer to something or have something
// that is referred to cannot be read, nothing is removed but litter, and the error names it.
//
// Steps: gc.repacked (what is left of packs that go is in a new one), gc.chains, gc.layers, gc.contents (each: out of the
// store for good).
func (s *Store) GC(o GCOptions) (Report, error) {
	var rep Report
	for _, parent := range []string{"staging", "trash"} {
		n, err := s.clearDead(parent, o.DryRun)
		rep.Litter += n
		if err != nil {
			return rep, fmt.Errorf("clear %s: %w", parent, err)
		}
	}
	release, ok, err := s.exclusive(s.patience)
	if err != nil {
		return rep, err
	}
	if !ok {
		rep.Deferred = true
		return rep, nil
	}
	g, err := s.unreached()
	defer g.close()
	if err == nil && !o.DryRun {
		g.made, err = s.repack(g.pool)
	}
	if err == nil {
		err = g.report(s, &rep)
	}
	if err != nil || o.DryRun {
		release()
		if err != nil {
			return Report{Litter: rep.Litter}, fmt.Errorf("nothing was collected: %w", err)
		}
		return rep, nil
	}
	b, err := s.sweep(g)
	release()
	if b != nil {
		err = joinEmpty(err, b)
	}
	return rep, err
}

// garbage is what is to be removed: names relative to the root, in the order of removal.
type garbage struct {
	chains []Chain // child first
	layers []digest.Digest
	merged []string
	blobs  []string
	pool   *poolPlan // nil: the contents stay as they are
	made   string    // the pack that has been made of others, see repack
}

// close lets go of what was opened to find it all.
func (g *garbage) close() {
	if g.pool != nil {
		g.pool.close()
	}
}

// poolPaths are the files of the pool that go.
func (g *garbage) poolPaths() []string {
	if g.pool == nil {
		return nil
	}
	return g.pool.paths(g.made)
}

// unreached finds everything that the roots do not reach. Nobody else may be using the store.
func (s *Store) unreached() (garbage, error) {
	var g garbage
	r, err := s.roots()
	if err != nil {
		return g, err
	}
	chains, err := s.markChains(r)
	if err != nil {
		return g, err
	}
	layers := map[string]bool{}
	contents := map[tarindex.Hash]int64{}
	for _, c := range chains {
		if layers[c.DiffID.Encoded()] {
			continue
		}
		layers[c.DiffID.Encoded()] = true
		if err := s.markContents(c.DiffID, contents); err != nil {
			return g, err
		}
	}
	isChain := func(name string) bool {
		_, ok := chains[digest.NewDigestFromEncoded(digest.SHA256, name)]
		return ok
	}
	if g.chains, err = s.deadChains(isChain); err != nil {
		return g, err
	}
	dead, err := s.unlisted("layers/sha256", func(name string) bool { return layers[name] })
	if err != nil {
		return g, err
	}
	for _, path := range dead {
		g.layers = append(g.layers, digest.NewDigestFromEncoded(digest.SHA256, filepath.Base(path)))
	}
	if g.merged, err = s.unlisted("merged/sha256", isChain); err != nil {
		return g, err
	}
	g.blobs, err = s.unlisted("blobs/sha256", func(name string) bool {
		return r.blobs[digest.NewDigestFromEncoded(digest.SHA256, name)]
	})
	if err != nil {
		return g, err
	}
	g.pool, err = s.planPool(contents)
	return g, err
}

// unlisted gives the paths in a directory whose names are not live.
func (s *Store) unlisted(dir string, live func(name string) bool) ([]string, error) {
	names, err := s.list(dir)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, live)
	for i, n := range names {
		names[i] = dir + "/" + n
	}
	return names, nil
}

// deadChains gives the chains that are not live, child first.
func (s *Store) deadChains(live func(name string) bool) ([]Chain, error) {
	dead, err := s.unlisted("chains/sha256", live)
	if err != nil {
		return nil, err
	}
	var cs []Chain
	for _, path := range dead {
		id := digest.NewDigestFromEncoded(digest.SHA256, filepath.Base(path))
		c, err := s.Chain(id)
		if err != nil {
			// Nothing needs it, so nothing is lost with it. Its name is all there is to say of it.
			c = Chain{ID: id}
		}
		cs = append(cs, c)
	}
	childFirst(cs)
	return cs, nil
}

// childFirst sorts chains so that none comes after its parent.
func childFirst(cs []Chain) {
	slices.SortFunc(cs, func(a, b Chain) int {
		if a.Depth != b.Depth {
			return b.Depth - a.Depth
		}
		return strings.Compare(a.ID.String(), b.ID.String())
	})
}

// report adds the garbage to rep.
func (g *garbage) report(s *Store, rep *Report) error {
	rep.Chains, rep.Layers = g.chains, g.layers
	rep.Merged, rep.Contents, rep.Blobs = len(g.merged), g.pool.dead, len(g.blobs)
	_, made := g.pool.copies()
	rep.Bytes -= made
	paths := slices.Concat(g.merged, g.poolPaths(), g.blobs)
	for _, l := range g.layers {
		paths = append(paths, layerDir(l))
	}
	for _, p := range paths {
		n, err := s.size(p)
		if err != nil {
			return err
		}
		rep.Bytes += n
	}
	return nil
}

// sweep renames the garbage into the trash. What refers goes for good before what it refers to, so that a stop never
// leaves a chain without its parent or a layer without its contents. The bin, if there is one, is the caller's to
// empty, whatever the error.
func (s *Store) sweep(g garbage) (*bin, error) {
	b, err := s.newBin()
	if err != nil {
		return nil, err
	}
	var chains, layers []string
	for _, c := range g.chains {
		chains = append(chains, chainPath(c.ID))
	}
	for _, l := range g.layers {
		layers = append(layers, layerDir(l))
	}
	for _, stage := range []struct {
		step  string
		paths []string
	}{
		{"gc.chains", slices.Concat(g.merged, chains)},
		{"gc.layers", layers},
		{"gc.contents", slices.Concat(g.poolPaths(), g.blobs)},
	} {
		for _, p := range stage.paths {
			if err := b.take(s.path(p)); err != nil {
				return b, err
			}
		}
		if err := b.sync(); err != nil {
			return b, err
		}
		if err := durable.Reach(stage.step); err != nil {
			return b, err
		}
	}
	return b, nil
}
