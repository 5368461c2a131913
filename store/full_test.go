package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/store"
)

// noise is data that no compression makes smaller.
func noise(n int) string {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return string(b)
}

// smallDisk gives a directory with room for size bytes: a tmpfs of that size.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small file system; TestQuota runs as anybody")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("this machine does not let root mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A disk that becomes full: the import says so and gives all its space back at once, and what fits goes on.
func TestDiskFull(t *testing.T) {
	s := openStore(t, filepath.Join(smallDisk(t, 4<<20), "store"))
	data := layerTar("a=one")
	c := register(t, s, "", data)
	image(t, s, "a:1", c.ID)
	for name, big := range map[string][]byte{
		"one big file":     layerTar("big=" + noise(8<<20)),
		"many small files": layerTar(manyFiles(4000)...),
	} {
		before := files(t, s)
		if _, err := s.Register(t.Context(), "", bytes.NewReader(big), store.UnpackOptions{}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", name, err)
		}
		wantNoLitter(t, s)
		if after := files(t, s); len(after) != len(before) {
			t.Errorf("%s: %d files are now %d", name, len(before), len(after))
		}
	}
	wantTar(t, s, c.ID, data)
	register(t, s, c.ID, layerTar("fits="+noise(1<<20)))
	wantClean(t, s)
}

func manyFiles(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("d/%d=%s", i, strings.Repeat(fmt.Sprint(i), 400)))
	}
	return all
}

func init() {
	// Registers under a limit of the size of files: as with a quota, a write fails in the middle.
	children["quota"] = func(s *store.Store, args []string) error {
		signal.Ignore(syscall.SIGXFSZ)
		lim := syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &lim); err != nil {
			return err
		}
		_, err := importBig(s)
		if !errors.Is(err, syscall.EFBIG) {
			return fmt.Errorf("register under a quota: %v", err)
		}
		return nil
	}
}

func importBig(s *store.Store) (store.Chain, error) {
	release, err := s.Use()
	if err != nil {
		return store.Chain{}, err
	}
	defer release()
	return s.Register(context.Background(), "", bytes.NewReader(layerTar("small=x", "big="+noise(3<<20))), store.UnpackOptions{})
}

// A write that fails for want of quota leaves nothing, for root and everybody.
func TestQuota(t *testing.T) {
	s := newStore(t)
	before := files(t, s)
	if err := child(t.Context(), "quota", s.Root()).Run(); err != nil {
		t.Error(err)
	}
	wantNoLitter(t, s)
	if after := files(t, s); len(after) != len(before) {
		t.Errorf("left behind: %v", after)
	}
	if _, err := importBig(s); err != nil {
		t.Errorf("without the quota: %v", err)
	}
}
