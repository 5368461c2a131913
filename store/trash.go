package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/layerfs/layerfs/internal/durable"
	"github.com/layerfs/layerfs/internal/sys"
)

// bin is a directory trash/<random>/ that garbage is renamed into: quick, whatever its size, and under whatever lock is
// held. empty deletes it afterwards. A deletion that is cut off is finished by the next collection.
type bin struct {
	*stage
	from map[string]bool // directories that things were taken out of
	n    int
}

func (s *Store) newBin() (*bin, error) {
	st, err := s.newStageIn("trash")
	if err != nil {
		return nil, err
	}
	return &bin{stage: st, from: map[string]bool{}}, nil
}

// take renames path (absolute) into the bin. A path that is not there is taken already.
func (b *bin) take(path string) error {
	// Numbered, because the names of two kinds of garbage may be the same.
	err := os.Rename(path, b.path(strconv.Itoa(b.n)))
	if gone(err) {
		return nil
	}
	b.n++
	b.from[filepath.Dir(path)] = true
	return err
}

// sync makes durable that things were taken: before those go that only they needed.
func (b *bin) sync() error {
	var dirs []string
	for d := range b.from {
		dirs = append(dirs, d)
	}
	clear(b.from)
	return durable.SyncDirs(dirs)
}

// empty deletes the bin.
func (b *bin) empty() error {
	err := errors.Join(sys.RemoveAll(b.dir), b.lock.Close())
	if err != nil {
		return fmt.Errorf("out of the store, but not all of its disk space is free: %w; `layerfs gc` tries again", err)
	}
	return nil
}

// discard takes one path out of the store and deletes it.
//
// Steps: op.trashed, op.durable.
func (s *Store) discard(op, path string) error {
	b, err := s.newBin()
	if err != nil {
		return err
	}
	if err := b.take(path); err != nil {
		return errors.Join(err, b.empty())
	}
	if err := durable.Reach(op + ".trashed"); err != nil {
		return errors.Join(err, b.empty())
	}
	if err := b.sync(); err != nil {
		return errors.Join(err, b.empty())
	}
	if err := durable.Reach(op + ".durable"); err != nil {
		return errors.Join(err, b.empty())
	}
	return b.empty()
}
