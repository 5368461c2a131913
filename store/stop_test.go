package store_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/layerfs/layerfs/internal/durable"
	"github.com/layerfs/layerfs/store"
)

// The layers and names of the store on which the operations run.
var (
	baseTar  = layerTar("a=one", "b=two", "empty=")
	childTar = layerTar("a=three", ".wh.b=", "c=one", "kept=of garbage")
	// Comes first, so that childTar's content lies in a pack beside what only gc wants.
	garbageTar = layerTar("g=garbage", "kept=of garbage", "large="+large)
	newTar     = layerTar("d=four", "e="+strings.Repeat("five", 100_000))
	baseID     = store.ChainID("", digestOf(baseTar))
	childID    = store.ChainID(baseID, digestOf(childTar))
	newID      = store.ChainID(baseID, digestOf(newTar))
)

// operations are all that changes a store. Each runs on the store that prepare makes, and may be run again after a stop:
// errors that say that it is done already are fine.
var operations = []struct {
	name  string
	run   func(*store.Store) error
	again error // what a second run may say
}{
	{"import", func(s *store.Store) error {
		release, err := s.Use()
		if err != nil {
			return err
		}
		defer release()
		c, err := s.Register(context.Background(), baseID, bytes.NewReader(newTar), store.UnpackOptions{})
		if err != nil {
			return err
		}
		_, err = putImage(s, "new:1", c.ID)
		return err
	}, nil},
	{"move-name", func(s *store.Store) error { _, err := putImage(s, "base:1", childID); return err }, nil},
	{"merge", func(s *store.Store) error {
		x, err := s.MergedIndex(childID)
		if err != nil {
			return err
		}
		return x.Close()
	}, nil},
	{"create-rw", func(s *store.Store) error {
		_, err := s.CreateRW("new", baseID, store.RWOptions{Init: childID})
		return err
	}, store.ErrExists},
	{"set-mount", func(s *store.Store) error {
		rw, err := s.RW("old")
		if err != nil {
			return err
		}
		return rw.SetMount(store.Mount{PID: 1, Target: "/t"})
	}, nil},
	{"remove-rw", func(s *store.Store) error { return s.RemoveRW("old") }, store.ErrNotFound},
	{"remove-image", func(s *store.Store) error { _, err := s.RemoveImage("child:1"); return err }, store.ErrNotFound},
	{"gc", func(s *store.Store) error { _, err := s.GC(store.GCOptions{}); return err }, nil},
	{"open", func(s *store.Store) error {
		_, err := store.Open(filepath.Join(s.Root(), "trash", "nested"), store.Options{})
		return err
	}, nil},
}

// prepare makes a store with two images, an RW layer, and a chain that only gc wants.
func prepare(t *testing.T) *store.Store {
	t.Helper()
	s := openStore(t, filepath.Join(tempDir(t), "store"))
	register(t, s, "", baseTar)
	image(t, s, "base:1", baseID)
	garbage := register(t, s, baseID, garbageTar)
	register(t, s, baseID, childTar)
	image(t, s, "child:1", childID)
	x, err := s.MergedIndex(garbage.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	rw, err := s.CreateRW("old", baseID, store.RWOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(rw.Upper(), "mine"), []byte("work of hours"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// names is what a user sees of a store: images, RW layers, and nothing of what is underway.
func names(t *testing.T, s *store.Store) []string {
	t.Helper()
	var all []string
	imgs, err := s.Images()
	if err != nil {
		t.Error(err)
	}
	for _, i := range imgs {
		all = append(all, "image "+i.Name+" "+i.ChainID.String())
	}
	rws, err := s.RWs()
	if err != nil {
		t.Error(err)
	}
	for _, rw := range rws {
		all = append(all, "rw "+rw.Name+" "+rw.Lower().String())
	}
	return all
}

// steps runs an operation and gives the steps that it reaches.
func steps(t *testing.T, s *store.Store, run func(*store.Store) error) []string {
	t.Helper()
	var mu sync.Mutex
	var reached []string
	undo := durable.Intercept(func(step string) error {
		mu.Lock()
		defer mu.Unlock()
		reached = append(reached, step)
		return nil
	})
	defer undo()
	if err := run(s); err != nil {
		t.Fatal(err)
	}
	return reached
}

// Every operation is killed at every step. Whatever the step: the store opens, is clean, shows the state before or the
// state after, has lost nothing, the operation can be done again, and gc leaves nothing of the attempt.
func TestStopAtEveryStep(t *testing.T) {
	stopped := 0
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			s := prepare(t)
			before := names(t, s)
			reached := steps(t, s, op.run)
			after := names(t, s)
			collect(t, s)
			final := state(t, s)
			for i, step := range reached {
				s := prepare(t)
				cmd := child(t.Context(), "stop", s.Root(), op.name, strconv.Itoa(i+1))
				err := cmd.Run()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
					t.Fatalf("step %d (%s): the child was not killed: %v", i+1, step, err)
				}
				stopped++
				s = openStore(t, s.Root())
				if got := names(t, s); !slices.Equal(got, before) && !slices.Equal(got, after) {
					t.Errorf("stop at %s: %v\nis neither what was: %v\nnor what should be: %v", step, got, before, after)
				}
				for _, p := range problems(t, s) {
					t.Errorf("stop at %s: check: %v", step, p)
				}
				wantTar(t, s, baseID, baseTar)
				if err := op.run(s); err != nil && !errors.Is(err, op.again) {
					t.Errorf("stop at %s: once more: %v", step, err)
				}
				if got := names(t, s); !slices.Equal(got, after) {
					t.Errorf("stop at %s: once more gives %v, want %v", step, got, after)
				}
				collect(t, s)
				wantClean(t, s)
				if op.name == "import" {
					wantTar(t, s, newID, newTar)
				}
				if got := state(t, s); !maps.Equal(got, final) {
					t.Errorf("stop at %s: in the end there is\n%v\nwant\n%v", step, got, final)
				}
			}
		})
	}
	t.Logf("%d stops", stopped)
}

// The same with a disk that is full at every step: the operation says so or succeeds, and leaves no litter at once,
// without gc.
func TestFailAtEveryStep(t *testing.T) {
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			s := prepare(t)
			before := names(t, s)
			n := len(steps(t, s, op.run))
			after := names(t, s)
			for i := range n {
				s := prepare(t)
				at, failed := 0, ""
				undo := durable.Intercept(func(step string) error {
					if at++; at != i+1 {
						return nil
					}
					failed = step
					return &os.PathError{Op: "write", Path: step, Err: syscall.ENOSPC}
				})
				err := op.run(s)
				undo()
				if !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("disk full at %s: %v", failed, err)
				}
				if got := names(t, s); !slices.Equal(got, before) && !slices.Equal(got, after) {
					t.Errorf("disk full at %s: %v", failed, got)
				}
				if op.name != "open" {
					wantNoLitter(t, s)
				}
				wantClean(t, s)
				wantTar(t, s, baseID, baseTar)
			}
		})
	}
}

// collect removes what is not referred to, so that two stores with the same references have the same files.
func collect(t *testing.T, s *store.Store) {
	t.Helper()
	if _, err := s.GC(store.GCOptions{}); err != nil {
		t.Error(err)
	}
}

// The document of the format names every step, and no others.
func TestStepsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/format-store.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := []string{"format", "chain", "image", "blob", "mount"} // <kind>.staged and so on in the document
	for _, op := range operations {
		for _, step := range steps(t, prepare(t), op.run) {
			kind, what, _ := strings.Cut(step, ".")
			if slices.Contains(kinds, kind) {
				step = "<kind>." + what
			}
			if !bytes.Contains(doc, []byte("`"+step+"`")) {
				t.Errorf("%s: step %q is not in docs/format-store.md", op.name, step)
			}
		}
	}
}
