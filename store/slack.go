package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/layerfs/layerfs/internal/pack"
	"github.com/layerfs/layerfs/tarindex"
)

// A content in a pack that nothing reaches, or that another pack has too, is slack. It cannot be removed alone: what is
// left of the pack is copied into a new one. That is done when it is worth it.
const (
	slackShare = 10      // a tenth of the pack is slack
	alwaysTidy = 1 << 20 // packs shorter than this are copied for any slack
	manyPacks  = 32      // with more packs than this, those that are
	smallPack  = 8 << 20 // shorter than this are put together, so that a lookup does not ask hundreds
)

// poolPlan is what a collection does with the pool of contents. It holds packs open until close.
type poolPlan struct {
	files  []string // contents that are files of their own and go, relative to the root
	packs  []*packPlan
	broken []string // names of packs that cannot be read, and that nothing needs
	dead   int      // contents that nothing reaches and that go
}

// packPlan is what becomes of one pack: it stays, or goes; what it has to hand over before is copied.
type packPlan struct {
	*openPack
	keep  []pack.Entry // what is reached, and in no pack before this one; as it lies in the pack
	slack int64        // bytes of the others
	goes  bool
}

// planPool decides about every content. live is what is reached, with sizes. Nobody else may be using the store.
// ErrCorrupt: a pack that cannot be read may have what is reached.
func (s *Store) planPool(live map[tarindex.Hash]int64) (*poolPlan, error) {
	plan := &poolPlan{}
	damaged, err := s.openPacks(plan, live)
	if err == nil {
		packed := plan.share(live)
		if err = s.planFiles(plan, live, packed); err == nil && len(damaged) > 0 {
			err = s.spare(plan, live, packed, damaged)
		}
	}
	if err != nil {
		plan.close()
		return nil, err
	}
	return plan, nil
}

func (p *poolPlan) close() {
	for _, k := range p.packs {
		k.release()
	}
}

// openPacks opens all packs, those first in which most is reached: they need not be copied for what others have too.
func (s *Store) openPacks(plan *poolPlan, live map[tarindex.Hash]int64) (damaged map[string]error, err error) {
	names, err := s.list("packs")
	if err != nil {
		return nil, err
	}
	damaged = map[string]error{}
	for _, name := range names {
		p, err := openPackFile(s.packs.dir, name)
		if errors.Is(err, ErrCorrupt) {
			damaged[name] = err
			continue
		}
		if err != nil {
			return nil, err
		}
		k := &packPlan{openPack: p}
		for e := range p.All() {
			if !reached(live, e) {
				k.slack += e.Size
			}
		}
		plan.packs = append(plan.packs, k)
	}
	slices.SortFunc(plan.packs, func(a, b *packPlan) int {
		return cmp.Or(cmp.Compare(a.slack, b.slack), cmp.Compare(b.Size(), a.Size()), cmp.Compare(a.name, b.name))
	})
	return damaged, nil
}

// reached tells whether a content of a pack is what an index refers to. One that is too large to be looked for in a pack
// is not.
func reached(live map[tarindex.Hash]int64, e pack.Entry) bool {
	size, ok := live[e.Hash]
	return ok && size == e.Size && size <= packedMax
}

// share gives each content that is reached to one pack and decides which packs go. It returns what the packs have then.
func (p *poolPlan) share(live map[tarindex.Hash]int64) (packed map[tarindex.Hash]struct{}) {
	packed = make(map[tarindex.Hash]struct{}, len(live))
	stay := 0
	for _, k := range p.packs {
		k.slack = 0
		count := 0
		for _, e := range inOrder(k.Pack) {
			count++
			if _, twice := packed[e.Hash]; twice || !reached(live, e) {
				k.slack += e.Size
				continue
			}
			packed[e.Hash] = struct{}{}
			k.keep = append(k.keep, e)
		}
		k.goes = len(k.keep) == 0 || len(k.keep) < count && (k.Size() < alwaysTidy || k.slack >= k.Size()/slackShare)
		if !k.goes {
			stay++
		}
	}
	small := func(k *packPlan) bool { return !k.goes && k.Size() < smallPack }
	if n := count(p.packs, small); stay > manyPacks && n > 1 {
		for _, k := range p.packs {
			k.goes = k.goes || small(k)
		}
	}
	return packed
}

func count[T any](all []T, is func(T) bool) (n int) {
	for _, v := range all {
		if is(v) {
			n++
		}
	}
	return n
}

// planFiles finds the files in content/ that go: what nothing reaches, and what a pack has.
func (s *Store) planFiles(plan *poolPlan, live map[tarindex.Hash]int64, packed map[tarindex.Hash]struct{}) error {
	shards, err := s.list("content")
	if err != nil {
		return err
	}
	for _, shard := range shards {
		dead, err := s.unlisted("content/"+shard, func(name string) bool {
			h, err := tarindex.ParseHash(shard + name)
			if err != nil {
				return false
			}
			_, live := live[h]
			_, packed := packed[h]
			return live && !packed
		})
		if err != nil {
			return err
		}
		plan.files = append(plan.files, dead...)
	}
	plan.dead = plan.countDead(live)
	return nil
}

// countDead counts the contents that nothing reaches and that go, each once.
func (p *poolPlan) countDead(live map[tarindex.Hash]int64) int {
	dead := map[tarindex.Hash]struct{}{}
	note := func(h tarindex.Hash) {
		if _, ok := live[h]; !ok {
			dead[h] = struct{}{}
		}
	}
	strangers := 0
	for _, f := range p.files {
		h, err := tarindex.ParseHash(f[len("content/"):len("content/ab")] + f[len("content/ab/"):])
		if err != nil {
			strangers++
			continue
		}
		note(h)
	}
	for _, k := range p.packs {
		if k.goes {
			for e := range k.All() {
				note(e.Hash)
			}
		}
	}
	return strangers + len(dead)
}

// spare decides about packs that cannot be read: they go if nothing that is reached is missing without them.
func (s *Store) spare(plan *poolPlan, live map[tarindex.Hash]int64, packed map[tarindex.Hash]struct{}, damaged map[string]error) error {
	for h, size := range live {
		if _, ok := packed[h]; ok || size > packedMax {
			continue
		}
		if err := s.findContent(h, size); errors.Is(err, ErrCorrupt) {
			var all []error
			for _, err := range damaged {
				all = append(all, err)
			}
			return fmt.Errorf("content %s may be in a pack that cannot be read; import its image again: %w", h, errors.Join(all...))
		} else if err != nil {
			return err
		}
	}
	for name := range damaged {
		plan.broken = append(plan.broken, name)
	}
	slices.Sort(plan.broken)
	return nil
}

// withoutCopies leaves packs with slack as they are, where there is no room to copy from them.
func (p *poolPlan) withoutCopies() {
	for _, k := range p.packs {
		k.goes = k.goes && len(k.keep) == 0
	}
}

// paths are the files that go, relative to the root; those of packs once what they keep is in the pack called made.
func (p *poolPlan) paths(made string) []string {
	paths := slices.Clone(p.files)
	for _, k := range p.packs {
		if k.goes && k.name != made {
			paths = append(paths, "packs/"+k.name)
		}
	}
	for _, name := range p.broken {
		paths = append(paths, "packs/"+name)
	}
	return paths
}

// copies is the number of contents that are copied into a new pack, and the length of that pack.
func (p *poolPlan) copies() (n int, length int64) {
	for _, k := range p.packs {
		if k.goes {
			for _, e := range k.keep {
				n, length = n+1, length+e.Size
			}
		}
	}
	if n == 0 {
		return 0, 0
	}
	return n, pack.Size(n, length)
}
