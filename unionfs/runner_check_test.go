package unionfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// check compares the whole tree, and what is held open.
func (r *runner) check() error {
	seen, err := viewUnion(r.FS)
	if err != nil {
		return err
	}
	if err := differences("union", seen, "model", r.m.view()); err != nil {
		return err
	}
	for i, n := range r.open {
		if n == nil {
			continue
		}
		if err := r.settle(n, n.ino); err != nil {
			return fmt.Errorf("slot %d: %w", i, err)
		}
	}
	return nil
}

// checkDiff checks the diff against the model's tree, and applies it.
func (r *runner) checkDiff(top string) error {
	if err := r.checkSockets(); err != nil {
		return err
	}
	diff, err := checkDiff(r.FS, r.pool)
	if err != nil {
		return err
	}
	if err := r.remount(); err != nil {
		return err
	}
	if again, err := diffOf(r.FS); err != nil || !bytes.Equal(diff, again) {
		return fmt.Errorf("Diff gives other bytes after a remount (%v)", err)
	}
	layer, err := scanLayer(diff, r.pool)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(top, "apply")
	if err != nil {
		return err
	}
	other, err := newRunner(dir, r.o.Lower, r.pool, r.m, r.poor)
	if err != nil {
		return err
	}
	defer other.Close()
	return checkApply(other.FS, r.o.Lower, layer, r.pool)
}

// checkApply applies layer to a union that shows lower alone, and compares with
// what Merge makes of them.
func checkApply(f *FS, lower, layer *tarindex.Index, p pool) error {
	if err := f.Apply(context.Background(), layer); err != nil {
		return fmt.Errorf("Apply: %w", err)
	}
	merged, err := mergeLayer(lower, layer)
	if err != nil {
		return err
	}
	want, err := viewIndex(merged, p.open)
	if err != nil {
		return err
	}
	got, err := viewUnion(f)
	if err != nil {
		return err
	}
	if err := differences("applied", got.unnumbered(), "merged", want.unnumbered()); err != nil {
		return err
	}
	if _, err := checkDiff(f, p); err != nil {
		return fmt.Errorf("after Apply: %w", err)
	}
	return nil
}

// checkSockets checks that Diff names a socket, and removes all of them.
func (r *runner) checkSockets() error {
	var sockets []string
	r.m.each(func(p string, n *mnode) {
		if n.typ() == unix.S_IFSOCK {
			sockets = append(sockets, p)
		}
	})
	if len(sockets) == 0 {
		return nil
	}
	_, err := diffOf(r.FS)
	if !errors.Is(err, tarindex.ErrSocket) || !slices.ContainsFunc(sockets, func(p string) bool {
		return strings.Contains(err.Error(), strconv.Quote(p)[2:])
	}) {
		return fmt.Errorf("Diff with the sockets %q: %v", sockets, err)
	}
	for _, p := range sockets {
		if err := r.step(op{kind: "unlink", a: filepath.Dir(p), name: filepath.Base(p)}); err != nil {
			return err
		}
	}
	return nil
}
