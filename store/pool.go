package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/layerfs/layerfs/internal/durable"
	"github.com/layerfs/layerfs/tarindex"
)

// pool is where tarindex.Scan puts the contents of one layer: into the staging directory dir, under their hash, unless
// content/ has them. commit moves them there.
//
// The workers of a scan share it. Two files of the same bytes in one layer are written once, by who claims the hash.
type pool struct {
	store *Store
	dir   string
	names atomic.Int64 // of contents whose hash is not known yet

	mu     sync.Mutex
	staged map[tarindex.Hash]bool // contents that commit has to move
	dirs   [256]bool              // the directories of content/ that hold a content of this layer, old or new
}

func newPool(s *Store, dir string) *pool {
	return &pool{store: s, dir: dir, staged: map[tarindex.Hash]bool{}}
}

// Put implements tarindex.Sink.
func (p *pool) Put(h tarindex.Hash, data []byte) error {
	if mine, err := p.claim(h, int64(len(data))); !mine || err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(p.dir, h.String()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// Create implements tarindex.Sink.
func (p *pool) Create() (tarindex.ContentWriter, error) {
	f, err := os.OpenFile(filepath.Join(p.dir, fmt.Sprintf("new-%d", p.names.Add(1))), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return nil, err
	}
	return &contentWriter{f, p, 0}, nil
}

// claim tells whether the caller is to write the content: the first one to come with a content that content/ lacks.
func (p *pool) claim(h tarindex.Hash, size int64) (bool, error) {
	have, err := p.store.hasContent(h, size)
	if err != nil {
		return false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dirs[h[0]] = true
	if have || p.staged[h] {
		return false, nil
	}
	p.staged[h] = true
	return true, nil
}

// commit renames the staged contents, which are durable by now, into content/ and makes their names durable: also the
// names of those which were there before, because another import may have renamed them a moment ago and be about to
// be stopped.
func (p *pool) commit() error {
	made := false
	for h := range p.staged {
		dir, name := contentPath(h)
		to := p.store.path(dir, name)
		err := os.Rename(filepath.Join(p.dir, h.String()), to)
		if gone(err) {
			if err := os.Mkdir(filepath.Dir(to), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			made = true
			err = os.Rename(filepath.Join(p.dir, h.String()), to)
		}
		if err != nil {
			return err
		}
	}
	if err := durable.Reach("unpack.contents"); err != nil {
		return err
	}
	var dirs []string
	for i, used := range p.dirs {
		if used {
			dirs = append(dirs, p.store.path("content", fmt.Sprintf("%02x", i)))
		}
	}
	if made {
		dirs = append(dirs, p.store.path("content"))
	}
	if err := durable.SyncDirs(dirs); err != nil {
		return err
	}
	return durable.Reach("unpack.contents-durable")
}

// contentWriter writes one content whose hash is known at its end.
type contentWriter struct {
	f    *os.File
	pool *pool
	n    int64
}

// Write implements io.Writer.
func (c *contentWriter) Write(b []byte) (int, error) {
	n, err := c.f.Write(b)
	c.n += int64(n)
	return n, err
}

// Commit implements tarindex.ContentWriter.
func (c *contentWriter) Commit(h tarindex.Hash) error {
	mine, err := c.pool.claim(h, c.n)
	if !mine || err != nil {
		return errors.Join(err, c.Abort())
	}
	if err := c.f.Close(); err != nil {
		return err
	}
	return os.Rename(c.f.Name(), filepath.Join(c.pool.dir, h.String()))
}

// Abort implements tarindex.ContentWriter.
func (c *contentWriter) Abort() error {
	return errors.Join(c.f.Close(), os.Remove(c.f.Name()))
}
