package store

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/layerfs/layerfs/internal/durable"
	"github.com/layerfs/layerfs/internal/pack"
	"github.com/layerfs/layerfs/tarindex"
)

// pool is where tarindex.Scan puts the contents of one layer, unless the store has them: into the staging directory dir,
// small ones all into one pack, large ones as files under their hash. commit moves them into view.
//
// The workers of a scan share it. Two files of the same bytes in one layer are written once, by who claims the hash. Two
// layers that come in at the same time write what both have twice, for neither can rely on the other to succeed; a
// collection clears that up.
type pool struct {
	store *Store
	dir   string
	names atomic.Int64 // of contents whose hash is not known yet

	mu     sync.Mutex
	small  map[tarindex.Hash]struct{} // contents of the layer that belong into packs/; nil when finished
	packed bool                       // there were some
	large  map[tarindex.Hash]bool     // and those in content/; true: commit has to move it there
	pack   *pack.Writer               // nil: there is none yet, or it is finished
	name   string                     // of the pack when it is finished
}

// newPool prepares for one layer. What the packs have at this moment is not written again.
func newPool(s *Store, dir string) (*pool, error) {
	return &pool{store: s, dir: dir, small: map[tarindex.Hash]struct{}{}, large: map[tarindex.Hash]bool{}}, s.packs.refresh(true)
}

// Put implements tarindex.Sink.
func (p *pool) Put(h tarindex.Hash, data []byte) error {
	if len(data) > packedMax {
		w, err := p.Create(int64(len(data)))
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return errors.Join(err, w.Abort())
		}
		return w.Commit(h)
	}
	w, err := p.claimSmall(h, p.store.packs.has(h, int64(len(data))))
	if w == nil || err != nil {
		return err
	}
	return w.Append(h, data)
}

// claimSmall gives the pack that the caller is to append the content to: nil if it is somewhere already.
func (p *pool) claimSmall(h tarindex.Hash, have bool) (*pack.Writer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, seen := p.small[h]; seen {
		return nil, nil
	}
	p.small[h] = struct{}{}
	if have {
		return nil, nil
	}
	if p.pack == nil {
		w, err := pack.Create(filepath.Join(p.dir, "pack"))
		if err != nil {
			return nil, err
		}
		p.pack = w
	}
	return p.pack, nil
}

// claimLarge tells whether the caller is to keep the content: the first one to come with a content that content/ lacks.
// One that is damaged, by its size or because the caller has seen it, counts as missing, so that the next import of the
// same file puts it right.
func (p *pool) claimLarge(h tarindex.Hash, size int64, damaged bool) (bool, error) {
	dir, name := contentPath(h)
	fi, err := os.Lstat(p.store.path(dir, name))
	if err != nil && !gone(err) {
		return false, fmt.Errorf("look for content %s: %w", h, err)
	}
	have := !damaged && err == nil && fi.Mode().IsRegular() && fi.Size() == size
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, seen := p.large[h]; seen {
		return false, nil
	}
	p.large[h] = !have
	return !have, nil
}

// finish completes the pack. Nothing is put after it.
func (p *pool) finish() (err error) {
	p.packed, p.small = len(p.small) > 0, nil // a large layer's index needs the memory
	if p.pack != nil {
		p.name, err = p.pack.Finish()
		p.pack = nil
	}
	return err
}

// abort gives up what finish has not completed.
func (p *pool) abort() {
	if p.pack != nil {
		_ = p.pack.Abort()
	}
}

// commit renames what is staged, which is durable by now, into view and makes the names durable: also the names of
// contents that were there before, because another import may have renamed them a moment ago and be about to be
// stopped.
func (p *pool) commit() error {
	if p.name != "" {
		if err := os.Rename(filepath.Join(p.dir, "pack"), p.store.path("packs", p.name)); err != nil {
			return err
		}
		if err := durable.Reach("unpack.packed"); err != nil {
			return err
		}
	}
	made, err := p.moveLarge()
	if err != nil {
		return err
	}
	if err := durable.Reach("unpack.contents"); err != nil {
		return err
	}
	dirs := map[string]bool{}
	if p.packed {
		dirs[p.store.path("packs")] = true
	}
	for h := range p.large {
		dir, _ := contentPath(h)
		dirs[p.store.path(dir)] = true
	}
	if made {
		dirs[p.store.path("content")] = true
	}
	if err := durable.SyncDirs(slices.Collect(maps.Keys(dirs))); err != nil {
		return err
	}
	return durable.Reach("unpack.contents-durable")
}

// moveLarge renames the staged files into content/. made tells that it made a directory there.
func (p *pool) moveLarge() (made bool, err error) {
	for h, new := range p.large {
		if !new {
			continue
		}
		dir, name := contentPath(h)
		from, to := filepath.Join(p.dir, h.String()), p.store.path(dir, name)
		err := os.Rename(from, to)
		if gone(err) {
			if err := os.Mkdir(filepath.Dir(to), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return made, err
			}
			made = true
			err = os.Rename(from, to)
		}
		if err != nil {
			return made, err
		}
	}
	return made, nil
}
