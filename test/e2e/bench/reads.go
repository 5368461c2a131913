package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"sync"

	"golang.org/x/sys/unix"
)

const readTable = "reading"

// readContests are those that change nothing.
func (b *bench) readContests() []*contest {
	type reading struct {
		name       string
		cold, warm float64 // goals, as parts of fuse-overlayfs; 0 = none
		do         func(im *image) work
	}
	tree := []reading{
		{"find -printf", 0.22, 0.4, func(*image) work { return b.tool(true, "find", ".", "-printf", `%p %y %s %m %T@\n`) }},
		{"ls -lR", 0.3, 0.5, func(*image) work { return b.tool(true, "ls", "-lR") }},
		{"lookups of missing names", 0.3, 0, missing},
		{"random stat, 2 threads", 0.3, 0, randomStat},
		{"open + read + close", 0.35, 0.13, readAll},
		{"tar c", 0.4, 0.15, func(*image) work { return b.tool(false, "tar", "-cf", "-", ".") }},
	}
	big := []reading{
		{"sequential read of a big file", 0.8, 1.0, func(*image) work { return readBig }},
		{"random 4 KiB reads of it", 0.5, 0.9, func(*image) work { return b.readRandom }},
	}
	var contests []*contest
	add := func(r reading, input func(context.Context) (*image, error)) *contest {
		c := &contest{
			table: readTable, work: r.name, reference: fuseOverlay, unit: seconds, weight: 3,
			enter: func(ctx context.Context) ([]entrant, error) {
				im, err := input(ctx)
				if err != nil {
					return nil, err
				}
				return b.onMounts(ctx, im, b.coldAndWarm(r.do(im)))
			},
		}
		for phase, most := range map[string]float64{"cold": r.cold, "warm": r.warm} {
			if most > 0 {
				c.goals = append(c.goals, faster(phase, fuseOverlay, most))
			}
		}
		contests = append(contests, c)
		return c
	}
	for _, r := range tree {
		c := add(r, b.debian)
		if r.name == "open + read + close" {
			c.goals = append(c.goals, faster("warm", bareFiles, 1.2))
		}
	}
	for _, r := range big {
		add(r, b.bigTree)
	}
	return contests
}

// missing asks every directory for five names that it does not have, as a search path does.
func missing(im *image) work {
	names := make([]string, 0, len(im.dirs)*5)
	for i := range 5 {
		for _, dir := range im.dirs {
			names = append(names, path.Join(dir, fmt.Sprintf("libmissing.so.%d", i)))
		}
	}
	return func(ctx context.Context, m *mount) (int64, error) {
		return within(m, func(root int) (int64, error) {
			var n int64
			err := each(ctx, names, func(name string) error {
				var s unix.Stat_t
				err := unix.Fstatat(root, name, &s, unix.AT_SYMLINK_NOFOLLOW)
				if err == nil {
					return errors.New("is there")
				}
				if errors.Is(err, unix.ENOENT) {
					n++
					return nil
				}
				return err
			})
			return n, err
		})
	}
}

// shuffled is a copy of the names in an order that is always the same.
func shuffled(names []string) []string {
	mixed := make([]string, len(names))
	for i, at := range rand.New(rand.NewPCG(1, 2)).Perm(len(names)) {
		mixed[at] = names[i]
	}
	return mixed
}

func statAll(ctx context.Context, root int, names []string) error {
	return each(ctx, names, func(name string) error {
		var s unix.Stat_t
		return unix.Fstatat(root, name, &s, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// randomStat asks for all files from two threads, each a half of them, in random order.
func randomStat(im *image) work {
	names := shuffled(im.files)
	half := len(names) / 2
	return func(ctx context.Context, m *mount) (int64, error) {
		return within(m, func(root int) (int64, error) {
			var errs [2]error
			var both sync.WaitGroup
			for i, part := range [][]string{names[:half], names[half:]} {
				both.Go(func() { errs[i] = statAll(ctx, root, part) })
			}
			both.Wait()
			return int64(len(names)), errors.Join(errs[:]...)
		})
	}
}

// readAll opens, reads and closes all files, in the order of their names.
func readAll(im *image) work {
	return func(ctx context.Context, m *mount) (int64, error) {
		buf := make([]byte, 128<<10)
		return within(m, func(root int) (int64, error) {
			var total int64
			err := each(ctx, im.files, func(name string) error {
				fd, err := unix.Openat(root, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
				if err != nil {
					return err
				}
				defer unix.Close(fd)
				for {
					n, err := unix.Read(fd, buf)
					if n <= 0 || err != nil {
						return err
					}
					total += int64(n)
				}
			})
			return total, err
		})
	}
}

// readBig reads the big file from its beginning to its end, 1 MiB at a time.
func readBig(ctx context.Context, m *mount) (int64, error) {
	return within(m, func(root int) (int64, error) {
		f, err := openIn(root, "big", unix.O_RDONLY)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		return io.CopyBuffer(onlyWriter{io.Discard}, cancellable{ctx, f}, make([]byte, 1<<20))
	})
}

// onlyWriter hides io.Discard's own way to read, which has small buffers.
type onlyWriter struct{ io.Writer }

const page = 4 << 10

// somePages are places in a file of so many bytes, each once, in random order.
func somePages(size int64) []int64 {
	places := rand.New(rand.NewPCG(3, 4)).Perm(int(size / page))
	places = places[:max(1, len(places)/16)]
	offsets := make([]int64, len(places))
	for i, p := range places {
		offsets[i] = int64(p) * page
	}
	return offsets
}

func (b *bench) readRandom(ctx context.Context, m *mount) (int64, error) {
	return within(m, func(root int) (int64, error) {
		f, err := openIn(root, "big", unix.O_RDONLY)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		return eachPage(ctx, b.big, f.ReadAt)
	})
}

// eachPage calls do with random pages and returns the bytes it moved.
func eachPage(ctx context.Context, size int64, do func(p []byte, off int64) (int, error)) (int64, error) {
	var total int64
	buf := make([]byte, page)
	for i, off := range somePages(size) {
		if i%64 == 0 && ctx.Err() != nil {
			return total, ctx.Err()
		}
		n, err := do(buf, off)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
