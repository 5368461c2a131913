package store

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/opencontainers/go-digest"
)

// checkDigest refuses what cannot be the id of anything in the store, before it becomes a path.
func checkDigest(d digest.Digest) error {
	if err := d.Validate(); err != nil || d.Algorithm() != digest.SHA256 {
		return fmt.Errorf("%w: %q is not a digest of the form sha256:<64 digits>", ErrName, string(d))
	}
	return nil
}

// list gives the names in a directory of the store, sorted. The names that NFS gives to files which are removed while
// somebody has them open are not ours to see.
func (s *Store) list(dir string) ([]string, error) { return listDir(s.path(dir)) }

func listDir(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", path, err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, ".nfs") })
	sort.Strings(names)
	return names, nil
}

// exists tells whether the store has that path.
func (s *Store) exists(elem ...string) bool {
	_, err := os.Lstat(s.path(elem...))
	return err == nil
}

// listDigests reads every object in a directory whose names are the hexadecimal digits of digests. An object that is
// removed while we look is left out. Damaged ones do not hide the others: the list has all that can be read, and the
// error names each that cannot.
func listDigests[T any](s *Store, dir string, read func(digest.Digest) (T, error)) ([]T, error) {
	return listNames(s, dir, func(name string) (T, error) {
		d := digest.NewDigestFromEncoded(digest.SHA256, name)
		if checkDigest(d) != nil {
			var none T
			return none, corrupt(s.path(dir, name), "the name is no digest: this file does not belong here")
		}
		return read(d)
	})
}

// listNames is listDigests for any names.
func listNames[T any](s *Store, dir string, read func(name string) (T, error)) ([]T, error) {
	names, err := s.list(dir)
	if err != nil {
		return nil, err
	}
	all := make([]T, 0, len(names))
	var bad []error
	for _, name := range names {
		v, err := read(name)
		switch {
		case err == nil:
			all = append(all, v)
		case errors.Is(err, ErrNotFound):
			// Removed since we listed the directory.
		default:
			bad = append(bad, err)
		}
	}
	return all, errors.Join(bad...)
}
