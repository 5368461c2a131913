package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const writeTable = "writing"

// writeContests write into the upper layer of a fresh mount; the bare side into a folder beside its files.
func (b *bench) writeContests() []*contest {
	type writing struct {
		name    string
		goals   []goal
		prepare work // not measured; nil = none
		do      work
	}
	most := func(side string, r float64) []goal { return []goal{faster("", side, r)} }
	var contests []*contest
	for _, w := range []writing{
		{"sequential write, 1 MiB blocks", most(fuseOverlay, 0.8), nil, b.writeBlocks(1<<20, false)},
		{"sequential write, 4 KiB blocks", most(fuseOverlay, 0.8), nil, b.writeBlocks(page, false)},
		{"sequential write, 1 MiB blocks, fsync", nil, nil, b.writeBlocks(1<<20, true)},
		{"random 4 KiB writes", most(fuseOverlay, 0.8), b.writeBlocks(1<<20, true), b.writeRandom},
		{"append of 100-byte records", most(fuseOverlay, 0.8), nil, b.appendRecords},
		{"create, write 1 KiB, rename, unlink", most(fuseOverlay, 0.7), nil, b.createAndUnlink},
		{"copy-up of a big file (bare: cp)", most(bareFiles, 1.1), nil, b.copyUp},
	} {
		contests = append(contests, &contest{
			table: writeTable, work: w.name, reference: fuseOverlay, unit: seconds, goals: w.goals, weight: 2,
			enter: func(ctx context.Context) ([]entrant, error) {
				im, err := b.bigTree(ctx)
				if err != nil {
					return nil, err
				}
				return b.onMounts(ctx, im, func(ctx context.Context, m *mount) ([]pass, error) {
					if err := os.Mkdir(filepath.Join(m.dir, scratch), 0o755); err != nil {
						return nil, err
					}
					if w.prepare != nil {
						if _, err := w.prepare(ctx, m); err != nil {
							return nil, err
						}
					}
					s, err := measure(ctx, m, w.do)
					return []pass{{"", s}}, err
				})
			},
		})
	}
	return contests
}

// written is the file that most of the cases write.
var written = path.Join(scratch, "file")

// writing opens the file for do and closes it, which is a part of the work.
func writing(m *mount, flags int, do func(f *os.File) (int64, error)) (int64, error) {
	return within(m, func(root int) (int64, error) {
		f, err := openIn(root, written, flags)
		if err != nil {
			return 0, err
		}
		n, err := do(f)
		return n, errors.Join(err, f.Close())
	})
}

// writeBlocks writes a new file as big as the big one.
func (b *bench) writeBlocks(block int, sync bool) work {
	return func(ctx context.Context, m *mount) (int64, error) {
		return writing(m, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, func(f *os.File) (total int64, err error) {
			buf := make([]byte, block)
			for total < b.big {
				if total%(1<<20) == 0 && ctx.Err() != nil {
					return total, ctx.Err()
				}
				n, err := f.Write(buf)
				total += int64(n)
				if err != nil {
					return total, err
				}
			}
			if sync {
				err = f.Sync()
			}
			return total, err
		})
	}
}

func (b *bench) writeRandom(ctx context.Context, m *mount) (int64, error) {
	return writing(m, unix.O_WRONLY, func(f *os.File) (int64, error) { return eachPage(ctx, b.big, f.WriteAt) })
}

func (b *bench) appendRecords(ctx context.Context, m *mount) (int64, error) {
	return writing(m, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND, func(f *os.File) (total int64, err error) {
		record := make([]byte, 100)
		for i := range b.ops * 5 {
			if i%64 == 0 && ctx.Err() != nil {
				return total, ctx.Err()
			}
			n, err := f.Write(record)
			total += int64(n)
			if err != nil {
				return total, err
			}
		}
		return total, nil
	})
}

// createAndUnlink does each step for all files before the next one, in one directory.
func (b *bench) createAndUnlink(ctx context.Context, m *mount) (int64, error) {
	names := make([]string, b.ops)
	for i := range names {
		names[i] = path.Join(scratch, fmt.Sprintf("file-%06d", i))
	}
	return within(m, func(root int) (int64, error) {
		data := make([]byte, 1<<10)
		create := func(name string) error {
			f, err := openIn(root, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
			if err != nil {
				return err
			}
			_, err = f.Write(data)
			return errors.Join(err, f.Close())
		}
		rename := func(name string) error { return unix.Renameat(root, name, root, name+".renamed") }
		unlink := func(name string) error { return unix.Unlinkat(root, name+".renamed", 0) }
		for _, step := range []func(string) error{create, rename, unlink} {
			if err := each(ctx, names, step); err != nil {
				return 0, err
			}
		}
		return int64(len(names)), nil
	})
}

// copyUp changes one byte of the big lower file. Where there is no union, cp does what a user would do by hand.
func (b *bench) copyUp(ctx context.Context, m *mount) (int64, error) {
	if m.bare {
		cmd := b.command(ctx, "cp", "big", written)
		cmd.Dir = m.dir
		return 1, finish(cmd, cmd.Run)
	}
	return within(m, func(root int) (int64, error) {
		f, err := openIn(root, "big", unix.O_WRONLY)
		if err != nil {
			return 0, err
		}
		n, err := f.WriteAt([]byte{0}, b.big/2)
		return int64(n), errors.Join(err, f.Close())
	})
}
