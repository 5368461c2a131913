package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// changeContest changes files of the tree of small files and asks what has changed.
func (b *bench) changeContest() *contest {
	return &contest{
		table: "what an RW layer changed", work: fmt.Sprintf("%d of %d files changed", b.changed, b.small),
		reference: podmanFuse, unit: seconds, weight: 8,
		enter: b.changeEntrants,
	}
}

func (b *bench) changeEntrants(ctx context.Context) ([]entrant, error) {
	im, err := b.smallTree(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.unpack(ctx, im); err != nil {
		return nil, err
	}
	changed := shuffled(im.files)[:min(b.changed, len(im.files))]
	list := b.path("changed-files")
	if err := os.WriteFile(list, []byte(strings.Join(changed, "\n")+"\n"), 0o644); err != nil {
		return nil, err
	}
	entrants := []entrant{{us, func(ctx context.Context) ([]pass, error) { return b.layerfsChanges(ctx, im, changed) }}}
	if b.podman == nil {
		return entrants, nil
	}
	for _, side := range []string{podmanFuse, podmanOwn} {
		e, err := b.podman.changes(ctx, side, im, list)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			b.report.note("%s is left out: %v", side, err)
		default:
			entrants = append(entrants, e)
		}
	}
	return entrants, nil
}

func (b *bench) layerfsChanges(ctx context.Context, im *image, changed []string) ([]pass, error) {
	lf := func(args ...string) (string, error) {
		return b.do(ctx, b.layerfs, append([]string{"--root", b.store}, args...)...)
	}
	name := fmt.Sprintf("changes-%d", time.Now().UnixNano())
	if _, err := lf("create", "--name", name, im.name); err != nil {
		return nil, err
	}
	if err := b.editIn(ctx, name, changed); err != nil {
		return nil, err
	}
	var passes []pass
	for _, what := range []string{"changes", "diff", "commit"} {
		if err := syncfs(b.dir); err != nil {
			return nil, err
		}
		s, err := timed(b.command(ctx, b.layerfs, "--root", b.store, what, name))
		if err != nil {
			return nil, err
		}
		passes = append(passes, pass{what, s})
	}
	if _, err := lf("rm", name); err != nil {
		return nil, err
	}
	_, err := lf("gc") // the committed chain; the next round shall make it again
	return passes, err
}

// editIn appends a line to files of an RW layer.
func (b *bench) editIn(ctx context.Context, name string, files []string) error {
	target, err := b.fresh("mount")
	if err != nil {
		return err
	}
	// Like every mount, not to be interrupted half-way.
	calm := context.WithoutCancel(ctx)
	if _, err := b.do(calm, b.layerfs, "--root", b.store, "mount", "--name", name, target); err != nil {
		return err
	}
	m := b.keep(&mount{dir: target, unmount: func() error {
		_, err := b.do(calm, b.layerfs, "--root", b.store, "umount", name)
		return errors.Join(err, os.Remove(target))
	}})
	err = each(ctx, files, func(file string) error {
		f, err := os.OpenFile(filepath.Join(target, file), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString("edited\n")
		return errors.Join(err, f.Close())
	})
	return errors.Join(err, m.unmount())
}
