package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

const (
	chainTable  = "number of layers: stat of each file on a fresh mount"
	mountTable  = "number of layers: time to mount"
	memoryTable = "memory of the daemon"
)

// chainContests show whether the number of layers matters, for the first look at a file and for the mount itself.
func (b *bench) chainContests() []*contest {
	var contests []*contest
	for _, n := range b.chains {
		name := strconv.Itoa(n) + " layers"
		contests = append(contests, &contest{
			table: chainTable, work: name, reference: fuseOverlay, unit: microsPerFile, weight: 1,
			enter: func(ctx context.Context) ([]entrant, error) {
				im, err := b.chainTree(ctx, n)
				if err != nil {
					return nil, err
				}
				names := shuffled(im.files)
				return b.onMounts(ctx, im, func(ctx context.Context, m *mount) ([]pass, error) {
					s, err := measure(ctx, m, func(ctx context.Context, m *mount) (int64, error) {
						return within(m, func(root int) (int64, error) {
							return int64(len(names)), statAll(ctx, root, names)
						})
					})
					return []pass{{"", s}}, err
				})
			},
		})
	}
	for _, n := range b.chains {
		contests = append(contests, &contest{
			table: mountTable, work: strconv.Itoa(n) + " layers", reference: fuseOverlay, unit: milliseconds, weight: 0.5,
			enter: func(ctx context.Context) ([]entrant, error) { return b.mountTimes(ctx, n) },
		})
	}
	return contests
}

// mountTimes measures mounts of a chain. layerfs does it once more without the merged index, a cache that the
// first mount of a chain makes.
func (b *bench) mountTimes(ctx context.Context, n int) ([]entrant, error) {
	im, err := b.chainTree(ctx, n)
	if err != nil {
		return nil, err
	}
	if err := b.unpack(ctx, im); err != nil {
		return nil, err
	}
	var entrants []entrant
	for _, s := range b.sides {
		if s.name == bareFiles {
			continue
		}
		once := func(ctx context.Context, phase string) (pass, error) {
			m, err := s.mount(ctx, im)
			if err != nil {
				return pass{}, err
			}
			p := pass{phase, sample{Seconds: m.took.Seconds()}}
			if m.pid != 0 {
				if p.CPU, err = cpuOf(m.pid); err == nil {
					p.Peak, p.Resident, err = memoryOf(m.pid)
				}
			}
			return p, errors.Join(err, m.unmount())
		}
		entrants = append(entrants, entrant{s.name, func(ctx context.Context) ([]pass, error) {
			if s.name != us {
				p, err := once(ctx, "")
				return []pass{p}, err
			}
			if err := os.RemoveAll(filepath.Join(b.store, "merged")); err != nil {
				return nil, err
			}
			first, err := once(ctx, "first time")
			if err != nil {
				return nil, err
			}
			again, err := once(ctx, "")
			return []pass{again, first}, err
		}})
	}
	return entrants, nil
}

// memoryContest looks all files of the tree of small files up, and then, as root, makes the kernel forget them.
func (b *bench) memoryContest() *contest {
	return &contest{
		table: memoryTable, work: fmt.Sprintf("%d files looked up", b.small), reference: fuseOverlay, unit: megabytes, weight: 2,
		enter: func(ctx context.Context) ([]entrant, error) {
			im, err := b.smallTree(ctx)
			if err != nil {
				return nil, err
			}
			entrants, err := b.onMounts(ctx, im, func(ctx context.Context, m *mount) ([]pass, error) {
				s, err := measure(ctx, m, func(ctx context.Context, m *mount) (int64, error) {
					return within(m, func(root int) (int64, error) {
						return int64(len(im.files)), statAll(ctx, root, im.files)
					})
				})
				if err != nil || !b.drop {
					return []pass{{"", s}}, err
				}
				forgotten := s
				if err := b.cool(); err != nil {
					return nil, err
				}
				forgotten.Peak, forgotten.Resident, err = memoryOf(m.pid)
				return []pass{{"", s}, {"then forgotten", forgotten}}, err
			})
			return daemons(entrants), err
		},
	}
}

// daemons leaves out the sides that have none.
func daemons(all []entrant) []entrant {
	var some []entrant
	for _, e := range all {
		if e.side == us || e.side == fuseOverlay {
			some = append(some, e)
		}
	}
	return some
}
