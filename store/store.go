package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// layoutVersion is the version of the directory layout, written in the file "format".
const layoutVersion = 1

// layout is every directory of a store, in the order in which they are made.
var layout = []string{
	"staging", "trash", "content", "packs",
	"layers", "layers/sha256", "chains", "chains/sha256", "merged", "merged/sha256",
	"images", "blobs", "blobs/sha256", "rw",
}

// Options change how a store is opened. The zero value is right for programs.
type Options struct {
	// Patience is how long GC and RemoveImage wait for other commands to finish before they put their work off.
	// 0 means 5 seconds.
	Patience time.Duration
}

// A Store is an open store. It holds no state but its place, and open files: everything is on disk, so any number of Stores, in any
// number of processes, may work on one root at once. All methods are safe for concurrent use.
type Store struct {
	root     string
	patience time.Duration
	packs    packSet // what is open of packs/
	lengths  lengths // of the files in content/, as a hint
}

// DefaultRoot is where the store of this user is when nobody says otherwise: $LAYERFS_ROOT, else $XDG_DATA_HOME/layerfs,
// else ~/.local/share/layerfs; for root /var/lib/layerfs.
func DefaultRoot() (string, error) {
	if r := os.Getenv("LAYERFS_ROOT"); r != "" {
		return r, nil
	}
	if os.Geteuid() == 0 {
		return "/var/lib/layerfs", nil
	}
	// The base directory specification wants a relative path ignored.
	if d := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "layerfs"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no place for the store: %w: set LAYERFS_ROOT or use --root", err)
	}
	return filepath.Join(home, ".local", "share", "layerfs"), nil
}

// Open opens the store at root and makes one there if the directory is missing or empty. ErrFormat: a newer layout, or
// a directory that holds something else; ErrCorrupt: the format file is damaged.
func Open(root string, o Options) (*Store, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{root: root, patience: o.Patience}
	s.packs.dir = s.path("packs")
	if s.patience == 0 {
		s.patience = 5 * time.Second
	}
	err = s.checkFormat()
	switch {
	case gone(err):
		err = s.create()
	case err == nil && !s.exists("packs"): // made before there were packs
		if err = os.Mkdir(s.path("packs"), 0o700); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: user %d may not use this store; choose another with --root or LAYERFS_ROOT", err, os.Geteuid())
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", root, err)
	}
	return s, nil
}

// Close ends the use of the store. Nothing has to be written: what succeeded is durable already. Contents that were
// opened stay open.
func (s *Store) Close() error {
	s.packs.close()
	return nil
}

// Root is the absolute path of the store's directory.
func (s *Store) Root() string { return s.root }

// path is a path inside the store.
func (s *Store) path(elem ...string) string {
	return filepath.Join(append([]string{s.root}, elem...)...)
}

// formatFile is the content of the file "format".
type formatFile struct {
	Layout  string `json:"layout"`
	Version int    `json:"version"`
}

// checkFormat refuses a layout that this code does not know. fs.ErrNotExist: there is no store yet.
func (s *Store) checkFormat() error {
	b, err := os.ReadFile(s.path("format"))
	if err != nil {
		return err
	}
	var f formatFile
	if err := json.Unmarshal(b, &f); err != nil || f.Layout != "layerfs" || f.Version < 1 {
		return fmt.Errorf("%s: %w: %q is not the format of a layerfs store; if the rest is whole, write %s into it",
			s.path("format"), ErrCorrupt, clip(b), bytes.TrimSpace(formatBytes()))
	}
	if f.Version > layoutVersion {
		return fmt.Errorf("%w: version %d; this layerfs knows up to %d: use a newer layerfs, or another store with --root", ErrFormat, f.Version, layoutVersion)
	}
	return nil
}

// create makes the layout. The format file is last: with it the store exists. A creation that was cut off, or runs
// twice at once, is completed by whoever comes next.
func (s *Store) create() error {
	if err := os.MkdirAll(s.root, 0o700); err != nil {
		return err
	}
	have, err := os.ReadDir(s.root)
	if err != nil {
		return err
	}
	for _, e := range have {
		if !ours(e.Name()) {
			return fmt.Errorf("%w: the directory holds %q and no store; choose an empty one", ErrFormat, e.Name())
		}
	}
	for _, d := range layout {
		if err := os.Mkdir(s.path(d), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	lock, err := os.OpenFile(s.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := lock.Close(); err != nil {
		return err
	}
	return s.commitFile("format", s.path("format"), formatBytes(), 0o600)
}

// ours tells whether a name in the root directory is part of the layout.
func ours(name string) bool {
	if name == "format" || name == "lock" {
		return true
	}
	for _, d := range layout {
		if d == name {
			return true
		}
	}
	return false
}

func formatBytes() []byte {
	b, err := json.Marshal(formatFile{"layerfs", layoutVersion})
	if err != nil {
		panic(err) // a struct of a string and a number
	}
	return append(b, '\n')
}

// clip shortens bytes that go into an error message.
func clip(b []byte) string {
	if len(b) > 40 {
		return string(b[:40]) + "..."
	}
	return string(b)
}
