package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"

	"github.com/layerfs/layerfs/internal/durable"
	"github.com/layerfs/layerfs/internal/sys"
)

// stage is a directory of its own for work in flight: staging/<random>/, or trash/<random>/ for what is on its way out.
// Its file "lock" is locked as long as the process lives that made it. One that is not locked is litter, and anybody may
// remove it.
type stage struct {
	dir  string
	lock *flock.Flock
}

// newStage makes and locks a staging directory.
//
// A collector may come between mkdir and lock, take the directory for litter and remove it. So the lock counts only if
// the directory still has the very file that was locked; else it is tried again with another name.
func (s *Store) newStage() (*stage, error) { return s.newStageIn("staging") }

func (s *Store) newStageIn(parent string) (*stage, error) {
	for {
		dir := s.path(parent, randomName())
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, fmt.Errorf("stage: %w", err)
		}
		lock := newLock(filepath.Join(dir, "lock"))
		locked, err := lock.TryLock()
		if err == nil && locked {
			if locked, err = sys.SameFile(lock, lock.Path()); err == nil && locked {
				st := &stage{dir, lock}
				if err := durable.Reach("stage.locked"); err != nil {
					st.remove()
					return nil, err
				}
				return st, nil
			}
		}
		_ = lock.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			_ = sys.RemoveAll(dir)
			return nil, fmt.Errorf("stage: %w", err)
		}
	}
}

// clearDead removes the stages in parent whose process is dead, and anything else that does not belong there. It
// returns how many there were.
func (s *Store) clearDead(parent string, dryRun bool) (n int, err error) {
	names, err := s.list(parent)
	if err != nil {
		return 0, err
	}
	var failed []error
	for _, name := range names {
		dir := s.path(parent, name)
		lock := newLock(filepath.Join(dir, "lock"))
		// A file in the place of a directory cannot be locked and is nobody's.
		free, err := lock.TryLock()
		switch {
		case errors.Is(err, fs.ErrNotExist): // its owner removed it
			continue
		case err != nil && !errors.Is(err, syscall.ENOTDIR):
			failed = append(failed, err)
			continue
		case err == nil && !free:
			continue
		}
		n++
		if !dryRun {
			failed = append(failed, sys.RemoveAll(dir))
		}
		_ = lock.Close()
	}
	return n, errors.Join(failed...)
}

// path is a path inside the staging directory.
func (t *stage) path(elem ...string) string {
	return filepath.Join(append([]string{t.dir}, elem...)...)
}

// remove removes the directory and what was not renamed out of it. What cannot be removed is litter, which a collection
// removes later or complains of: it does not change what the operation has achieved.
func (t *stage) remove() {
	_ = sys.RemoveAll(t.dir)
	_ = t.lock.Close()
}

// Scratch makes a private directory inside the store for a command's temporary files, such as an archive that comes
// from a pipe: same file system, same quota, and removed by the next collection should the process die.
// remove must be called.
func (s *Store) Scratch() (dir string, remove func(), err error) {
	st, err := s.newStage()
	if err != nil {
		return "", nil, err
	}
	dir = st.path("files")
	if err := os.Mkdir(dir, 0o700); err != nil {
		st.remove()
		return "", nil, err
	}
	return dir, st.remove, nil
}

// commitFile makes path hold data, durably and in one step. See durable.WriteFile for the steps of op.
func (s *Store) commitFile(op, path string, data []byte, perm os.FileMode) error {
	st, err := s.newStage()
	if err != nil {
		return err
	}
	defer st.remove()
	return durable.WriteFile(op, st.path("file"), path, data, perm)
}

// commitRecord makes path the record of v.
func (s *Store) commitRecord(kind, path string, v any) error {
	b, err := encodeRecord(kind, v)
	if err != nil {
		return err
	}
	if err := s.commitFile(kind, path, b, 0o600); err != nil {
		return fmt.Errorf("write %s record: %w", kind, err)
	}
	return nil
}

// taken tells whether a directory could not be renamed because there is one of that name. rename(2) replaces an empty
// one; those that we rename never are, having a record.
func taken(err error) bool { return errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) }

// randomName is a name that nobody else has.
func randomName() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
