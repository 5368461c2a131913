package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/layerfs/layerfs/store"
)

// family is the layer of a small family of images which share layers and contents.
func family(n, layer int) []byte {
	return layerTar("common=in all of them", fmt.Sprintf("layer%d=shared by half of the images %d", layer, n%2),
		fmt.Sprintf("own%d=%d", layer, n))
}

// importFamily imports the three layers of image n.
func importFamily(s *store.Store, n int) error {
	release, err := s.Use()
	if err != nil {
		return err
	}
	defer release()
	var top store.Chain
	for layer := range 3 {
		data := family(n, layer)
		if layer == 0 {
			data = family(n%2, layer) // the same base for half of them
		}
		if top, err = s.Register(context.Background(), top.ID, bytes.NewReader(data), store.UnpackOptions{Expected: digestOf(data)}); err != nil {
			return err
		}
	}
	_, err = putImage(s, fmt.Sprintf("family:%d", n), top.ID)
	return err
}

func init() {
	// Imports, mounts, removes and collects at random for a while. Any error but those that follow from others doing the same
	// at the same time is a failure.
	children["bustle"] = func(s *store.Store, args []string) error {
		seed, err := strconv.ParseUint(args[0], 10, 64)
		if err != nil {
			return err
		}
		rnd := rand.New(rand.NewPCG(seed, seed))
		end := time.Now().Add(2 * time.Second)
		for time.Now().Before(end) {
			n := rnd.IntN(4)
			switch rnd.IntN(7) {
			case 0, 1:
				err = importFamily(s, n)
			case 2:
				_, err = s.RemoveImage(fmt.Sprintf("family:%d", n))
			case 3:
				_, err = s.GC(store.GCOptions{})
			case 4:
				err = useImage(s, n)
			case 5:
				if _, err = s.Images(); err == nil {
					_, err = s.Chains()
				}
			case 6:
				err = s.Check(context.Background(), nil, func(p store.Problem) {
					fmt.Fprintln(os.Stderr, p)
					os.Exit(1)
				})
			}
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		return nil
	}
	// Imports and removes until it is killed.
	children["forever"] = func(s *store.Store, args []string) error {
		for n := 0; ; n = (n + 1) % 4 {
			if err := importFamily(s, n); err != nil {
				return err
			}
			if _, err := s.RemoveImage(fmt.Sprintf("family:%d", n)); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
	}
	// Imports one image.
	children["import"] = func(s *store.Store, args []string) error {
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		return importFamily(s, n)
	}
}

// useImage does what mount and rm do with an image, and reads all of it.
func useImage(s *store.Store, n int) error {
	release, err := s.Use()
	if err != nil {
		return err
	}
	defer release()
	ref, err := s.Resolve(fmt.Sprintf("family:%d", n))
	if err != nil {
		return err
	}
	// From here on nothing may be missing, whatever the others do.
	hard := func(err error) error {
		if err != nil {
			return fmt.Errorf("in use and gone: %v", err)
		}
		return nil
	}
	rw, err := s.CreateRW("", ref.ChainID, store.RWOptions{})
	if err != nil {
		return hard(err)
	}
	x, err := s.MergedIndex(ref.ChainID)
	if err != nil {
		return hard(err)
	}
	defer x.Close()
	for h, size := range x.Contents() {
		f, _, err := s.OpenContent(h, size)
		if err != nil {
			return hard(err)
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	if err := s.LayerTar(context.Background(), ref.ChainID, io.Discard); err != nil {
		return hard(err)
	}
	return hard(s.RemoveRW(rw.Name))
}

// Many processes do everything at once. None may fail, and in the end the store is whole.
func TestProcesses(t *testing.T) {
	s := newStore(t)
	var all sync.WaitGroup
	for seed := range 6 {
		all.Go(func() {
			if err := child(t.Context(), "bustle", s.Root(), strconv.Itoa(seed)).Run(); err != nil {
				t.Errorf("process %d: %v", seed, err)
			}
		})
	}
	all.Wait()
	for n := range 4 {
		if err := importFamily(s, n); err != nil {
			t.Error(err)
		}
		img, err := s.Image(fmt.Sprintf("family:%d", n))
		if err != nil {
			t.Fatal(err)
		}
		wantTar(t, s, img.ChainID, family(n, 2))
	}
}

// Identical imports at the same time end as one.
func TestIdenticalImports(t *testing.T) {
	s := newStore(t)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if err := child(t.Context(), "import", s.Root(), "1").Run(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	one := openStore(t, filepath.Join(tempDir(t), "one"))
	if err := importFamily(one, 1); err != nil {
		t.Fatal(err)
	}
	// What two wrote at the same time is there twice, until it is collected.
	collect(t, s)
	collect(t, one)
	got, want := state(t, s), state(t, one)
	if len(got) != len(want) {
		t.Errorf("six imports at once make\n%v\none makes\n%v", got, want)
	}
	for path, sum := range want {
		if got[path] != sum {
			t.Errorf("%s differs", path)
		}
	}
}

// Imports are killed at random moments. The store is clean each time, and a name that was there stays.
func TestKillAtRandom(t *testing.T) {
	s := newStore(t)
	data := layerTar("keep=me")
	keep := register(t, s, "", data)
	image(t, s, "keep:1", keep.ID)
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(10+rand.IntN(60))*time.Millisecond)
		err := child(ctx, "forever", s.Root()).Run()
		cancel()
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Exited() {
			t.Fatalf("the child failed before it was killed: %v", err)
		}
		wantClean(t, s)
		wantTar(t, s, keep.ID, data)
	}
}

// An import whose input hangs keeps nobody from reading, importing and removing; only gc puts its work off.
func TestHangingImport(t *testing.T) {
	s := newStore(t)
	r, w := io.Pipe()
	failed := make(chan error)
	go func() {
		_, err := s.Register(context.Background(), "", r, store.UnpackOptions{})
		failed <- err
	}()
	if _, err := w.Write(layerTar("half=of a layer")[:512]); err != nil {
		t.Fatal(err)
	}
	c := register(t, s, "", layerTar("a=one"))
	image(t, s, "a:1", c.ID)
	if imgs, err := s.Images(); err != nil || len(imgs) != 1 {
		t.Errorf("list: %v, %v", imgs, err)
	}
	if rep, err := s.GC(store.GCOptions{}); err != nil || !rep.Deferred {
		t.Errorf("gc: %+v, %v", rep, err)
	}
	w.CloseWithError(os.ErrDeadlineExceeded)
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the import whose input failed: %v", err)
	}
	wantNoLitter(t, s)
}
