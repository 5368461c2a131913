package store

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/internal/durable"
)

// An RW is a writable layer over a chain: rw/<name>/ with "record" (this), "lock", "upper/" and "work/" for the union,
// and "mount" while it is mounted. A read-only view has no upper and no work.
type RW struct {
	Name     string        `json:"name"`
	Parent   digest.Digest `json:"parent,omitempty"` // the chain that diff and changes are against; "" for the empty one
	Init     digest.Digest `json:"init,omitempty"`   // chain of parent + init layer that is mounted instead; "" = parent
	Image    string        `json:"image,omitempty"`  // name of the image it was made from, for lists
	ReadOnly bool          `json:"readOnly,omitempty"`
	Created  time.Time     `json:"created"`

	store *Store
}

// RWOptions are the optional parts of a new RW layer.
type RWOptions struct {
	Init     digest.Digest // chain whose parent is the RW layer's parent; "" = none
	Image    string
	ReadOnly bool
}

// rwName is what an RW layer may be called: safe as a directory, in a shell and in a list.
var rwName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`)

func checkRWName(name string) error {
	if !rwName.MatchString(name) {
		return fmt.Errorf("%w: an RW layer cannot be called %q: up to 128 letters, digits, '_', '.', '-', the first a letter or digit", ErrName, name)
	}
	return nil
}

// CreateRW makes a writable layer over the chain parent ("" = the empty chain). An empty name gets a random one.
// ErrName, ErrExists, ErrNotFound (no such chain).
//
// Steps: rw.staged, rw.renamed, rw.durable.
func (s *Store) CreateRW(name string, parent digest.Digest, o RWOptions) (*RW, error) {
	if name == "" {
		name = "rw-" + randomName()
	}
	if err := checkRWName(name); err != nil {
		return nil, err
	}
	release, err := s.Use()
	if err != nil {
		return nil, err
	}
	defer release()
	if s.exists("rw", name) {
		return nil, fmt.Errorf("rw layer %s: %w; choose another name, or remove it with `layerfs rm %s`", name, ErrExists, name)
	}
	if parent != "" {
		if _, err := s.Chain(parent); err != nil {
			return nil, fmt.Errorf("rw layer %s: %w", name, err)
		}
	}
	if o.Init != "" {
		c, err := s.Chain(o.Init)
		if err != nil {
			return nil, fmt.Errorf("rw layer %s: init: %w", name, err)
		}
		if c.Parent != parent {
			return nil, fmt.Errorf("rw layer %s: %w: chain %s is no init layer over %s but over %q", name, ErrNotFound, o.Init, parent, c.Parent)
		}
	}
	if err := durable.SyncDir(s.path("chains/sha256")); err != nil {
		return nil, err
	}
	rw := &RW{name, parent, o.Init, o.Image, o.ReadOnly, now(), s}
	if err := s.commitRW(rw); err != nil {
		return nil, fmt.Errorf("create rw layer %s: %w", name, err)
	}
	return rw, nil
}

// commitRW builds the directory of a new RW layer in staging and renames it into rw/.
func (s *Store) commitRW(rw *RW) error {
	b, err := encodeRecord("rw", rw)
	if err != nil {
		return err
	}
	st, err := s.newStage()
	if err != nil {
		return err
	}
	defer st.remove()
	dirs := []string{st.path("rw")}
	if !rw.ReadOnly {
		dirs = append(dirs, st.path("rw", "upper"), st.path("rw", "work"))
	}
	for _, d := range dirs {
		if err := os.Mkdir(d, 0o700); err != nil {
			return err
		}
	}
	for name, data := range map[string][]byte{"record": b, "lock": nil} {
		if err := durable.Stage(st.path("rw", name), data, 0o600); err != nil {
			return err
		}
	}
	if err := durable.SyncDir(st.path("rw")); err != nil {
		return err
	}
	if err := durable.Reach("rw.staged"); err != nil {
		return err
	}
	err = durable.Rename("rw", st.path("rw"), rw.Dir())
	if taken(err) {
		return fmt.Errorf("%w: somebody else made it just now; choose another name", ErrExists)
	}
	return err
}

// RW reads one RW layer. ErrNotFound, ErrCorrupt.
func (s *Store) RW(name string) (*RW, error) {
	if err := checkRWName(name); err != nil {
		return nil, err
	}
	rw := &RW{store: s}
	path := s.path("rw", name, "record")
	err := readRecord(path, "rw", rw)
	if gone(err) && s.exists("rw", name) {
		// Damaged, or removed and made anew between our two looks: then the third finds it.
		if err = readRecord(path, "rw", rw); gone(err) {
			err = corrupt(path, "the rw record is missing")
		}
	}
	if gone(err) {
		return nil, fmt.Errorf("rw layer %s: %w; `layerfs ps` lists what there is", name, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	if rw.Name != name {
		return nil, corrupt(path, "it is the record of rw layer %q", rw.Name)
	}
	return rw, nil
}

// RWs lists all RW layers by name. What cannot be read does not hide the others: the error names it, the list has the
// rest.
func (s *Store) RWs() ([]*RW, error) {
	return listNames(s, "rw", func(name string) (*RW, error) {
		if checkRWName(name) != nil {
			return nil, corrupt(s.path("rw", name), "the name is no name of an rw layer: this does not belong here")
		}
		return s.RW(name)
	})
}

// Dir is the directory of the RW layer. The mount process may keep its log there.
func (rw *RW) Dir() string { return rw.store.path("rw", rw.Name) }

// Lower is the chain to mount: Init if there is one, else Parent.
func (rw *RW) Lower() digest.Digest {
	if rw.Init != "" {
		return rw.Init
	}
	return rw.Parent
}

// Upper is the directory for what is changed; "" for a read-only view.
func (rw *RW) Upper() string { return rw.writable("upper") }

// Work is the union's own directory on the file system of Upper; "" for a read-only view.
func (rw *RW) Work() string { return rw.writable("work") }

func (rw *RW) writable(name string) string {
	if rw.ReadOnly {
		return ""
	}
	return filepath.Join(rw.Dir(), name)
}

// RemoveRW removes an RW layer and all that was written in it, even one whose record is damaged. ErrNotFound; ErrInUse
// while it is mounted. The layer is gone once it is in the trash; an error from there on is about disk space only.
//
// Steps: rw-rm.trashed, rw-rm.durable.
func (s *Store) RemoveRW(name string) error {
	if err := checkRWName(name); err != nil {
		return err
	}
	if !s.exists("rw", name) {
		return fmt.Errorf("rw layer %s: %w; `layerfs ps` lists what there is", name, ErrNotFound)
	}
	rw := &RW{Name: name, store: s}
	unlock, err := rw.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	return s.discard("rw-rm", rw.Dir())
}

// sortBy sorts by a string that is made of each element.
func sortBy[T any](all []T, key func(T) string) {
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(key(a), key(b)) })
}
