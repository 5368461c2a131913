package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/layerfs/layerfs/internal/durable"
	"github.com/layerfs/layerfs/internal/pack"
	"github.com/layerfs/layerfs/tarindex"
)

// repack copies what the packs that go have to hand over into a new one, and brings that into view durably. made is its
// name, "" if there was nothing to copy. On a disk that has no room for it packs with slack stay for another time: a
// collection must be possible on a full disk.
//
// Step: gc.repacked.
func (s *Store) repack(plan *poolPlan) (made string, err error) {
	if n, _ := plan.copies(); n == 0 {
		return "", nil
	}
	st, err := s.newStage()
	if err != nil {
		return "", err
	}
	defer st.remove()
	made, err = plan.copyTo(st.path("pack"))
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		plan.withoutCopies()
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if err := os.Rename(st.path("pack"), s.path("packs", made)); err != nil {
		return "", err
	}
	if err := durable.SyncDir(s.path("packs")); err != nil {
		return "", err
	}
	return made, durable.Reach("gc.repacked")
}

// copyTo makes the new pack in the file path, durably, and returns its name. Each content is verified on the way, so
// that no damage gets into a pack that looks like new.
func (p *poolPlan) copyTo(path string) (name string, err error) {
	w, err := pack.Create(path)
	if err != nil {
		return "", err
	}
	buf := make([]byte, packedMax)
	for _, k := range p.packs {
		if !k.goes {
			continue
		}
		for _, e := range k.keep {
			if err := copyContent(w, k, e, buf[:e.Size]); err != nil {
				return "", errors.Join(err, w.Abort())
			}
		}
	}
	if name, err = w.Finish(); err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	return name, errors.Join(f.Sync(), f.Close())
}

// copyContent copies one content. buf has its size.
func copyContent(w *pack.Writer, from *packPlan, e pack.Entry, buf []byte) error {
	path := from.File().Name()
	if _, err := io.ReadFull(from.Section(e), buf); err != nil {
		return fmt.Errorf("%s: content %s: %w", path, e.Hash, err)
	}
	if got := tarindex.Hash(sha256.Sum256(buf)); got != e.Hash {
		return corrupt(path, "the bytes of content %s have the hash %s; move this file away and import its images again", e.Hash, got)
	}
	return w.Append(e.Hash, buf)
}
