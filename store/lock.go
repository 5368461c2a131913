package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gofrs/flock"
)

// retryEvery is how often a lock that somebody else holds is tried again.
const retryEvery = 10 * time.Millisecond

// newLock prepares the lock file path. Write access is asked for because NFS grants an exclusive lock to writers only.
func newLock(path string) *flock.Flock {
	return flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
}

// Use keeps the garbage collector away until release is called. Whoever relies on objects that nothing refers to yet
// (between Unpack and AddChain, between AddChain and PutImage, between Resolve and CreateRW), or reads one for long,
// does it under Use. Any number of processes and goroutines may hold it at once; it waits only while a collection is
// marking. GC and RemoveImage want the opposite and must not be called under Use by the same caller.
//
// The kernel drops the lock of a process that dies, so nothing can be left behind.
func (s *Store) Use() (release func(), err error) {
	l := newLock(s.path("lock"))
	if err := l.RLock(); err != nil {
		return nil, fmt.Errorf("lock the store: %w", err)
	}
	return func() { _ = l.Close() }, nil
}

// exclusive waits until no other command uses the store, up to wait. ok is false if they did not finish in that time.
func (s *Store) exclusive(wait time.Duration) (release func(), ok bool, err error) {
	l := newLock(s.path("lock"))
	ok, err = tryFor(l, wait)
	if err != nil {
		return nil, false, fmt.Errorf("lock the store: %w", err)
	}
	return func() { _ = l.Close() }, ok, nil
}

// tryFor tries to take l exclusively for that long.
func tryFor(l *flock.Flock, wait time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	ok, err := l.TryLockContext(ctx, retryEvery)
	if errors.Is(err, context.DeadlineExceeded) {
		return false, nil
	}
	return ok, err
}
