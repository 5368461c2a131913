package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A file is one name of a layer: a regular file or a symlink.
type file struct {
	path string // relative, with slashes
	mode fs.FileMode
	link string // symlink: where to
	size int64
	// open reads the contents, size bytes. nil for a symlink.
	open func() (io.Reader, error)
}

// scatter spreads names evenly and always in the same way.
func scatter(name string, n int) int {
	h := fnv.New32a()
	h.Write([]byte(name))
	return int(h.Sum32() % uint32(n))
}

// seed is a name as the start of a random generator.
func seed(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

const debianLayers = 10

// debianLike takes about want files out of the machine's /usr and deals them out to 10 layers, for mounts: whole
// directories, so that files keep their neighbours; most of a directory in one layer, some of it in others, so that
// directories have to be merged; a few files replaced by a later layer.
func debianLike(host map[string][]file, want int) [][]file {
	layers := make([][]file, debianLayers)
	for _, dir := range shuffledDirs(host) {
		if want <= 0 {
			break
		}
		files := host[dir]
		want -= len(files)
		home := scatter(dir, debianLayers)
		for _, f := range files {
			at := home
			if scatter(f.path, 10) == 0 {
				at = scatter("move "+f.path, debianLayers)
			}
			layers[at] = append(layers[at], f)
			if at > 0 && f.open != nil && scatter("old "+f.path, 30) == 0 {
				layers[at-1] = append(layers[at-1], edited(f))
			}
		}
	}
	return layers
}

// shuffledDirs are the directories in an order that has nothing to do with their names, always the same.
func shuffledDirs(host map[string][]file) []string {
	dirs := sortedKeys(host)
	slices.SortStableFunc(dirs, func(a, b string) int { return scatter("pick "+a, 1<<30) - scatter("pick "+b, 1<<30) })
	return dirs
}

// hostFiles lists the machine's /usr by directory, without files of more than limit bytes.
func hostFiles(ctx context.Context, limit int64) (map[string][]file, error) {
	perDir := make(map[string][]file)
	err := filepath.WalkDir("/usr", func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist):
			return nil // a folder that is not for everybody, or that was removed meanwhile
		case err != nil:
			return err
		case d.Type()&^fs.ModeSymlink != 0: // directories follow from names; devices and sockets are no image's
			return nil
		}
		if f, ok := hostFile(name, d, limit); ok {
			dir := path.Dir(f.path)
			perDir[dir] = append(perDir[dir], f)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read /usr: %w", err)
	}
	if len(perDir) == 0 {
		return nil, errors.New("/usr has no readable files")
	}
	return perDir, nil
}

// hostFile describes a file of this machine; ok is false if it is too big or not readable by this user.
func hostFile(name string, d fs.DirEntry, limit int64) (f file, ok bool) {
	info, err := d.Info()
	if err != nil || info.Size() > limit {
		return f, false
	}
	f = file{path: strings.TrimPrefix(name, "/"), mode: info.Mode().Perm() | 0o600}
	if d.Type() == fs.ModeSymlink {
		f.mode = fs.ModeSymlink | 0o777
		f.link, err = os.Readlink(name)
		return f, err == nil
	}
	if unix.Access(name, unix.R_OK) != nil {
		return f, false
	}
	f.size = info.Size()
	f.open = func() (io.Reader, error) {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if int64(len(data)) != info.Size() {
			return nil, fmt.Errorf("%s has changed while it was read; leave /usr alone and run again", name)
		}
		return bytes.NewReader(data), nil
	}
	return f, true
}

// edited is the file with one more line.
func edited(f file) file {
	before := f.open
	const line = "\nedited\n"
	f.size += int64(len(line))
	f.open = func() (io.Reader, error) {
		r, err := before()
		if err != nil {
			return nil, err
		}
		return io.MultiReader(r, strings.NewReader(line)), nil
	}
	return f
}

// noise is bytes that do not compress, always the same for a name.
func noise(name string, size int64) func() (io.Reader, error) {
	return func() (io.Reader, error) {
		var seed [32]byte
		copy(seed[:], name)
		return io.LimitReader(rand.NewChaCha8(seed), size), nil
	}
}

// smallFiles are n files of up to 4 KiB, 40 to a directory in folders like those of node_modules, in 4 layers.
func smallFiles(n int) [][]file {
	layers := make([][]file, 4)
	for i := range n {
		module := i / 40
		name := fmt.Sprintf("app/node_modules/module-%03d/lib/part-%d/file-%06d.js", module/4, module%4, i)
		size := int64(scatter(name, 4<<10))
		layers[i%4] = append(layers[i%4], file{path: name, mode: 0o644, size: size, open: noise(name, size)})
	}
	return layers
}

// chain is n files in 20 directories, spread over so many layers; every layer has files in many of the directories.
func chain(layers, n int) [][]file {
	tree := make([][]file, layers)
	for i := range n {
		name := fmt.Sprintf("dir-%02d/file-%05d", scatter(fmt.Sprint(i), 20), i)
		tree[i%layers] = append(tree[i%layers], file{path: name, mode: 0o644, size: 64, open: noise(name, 64)})
	}
	return tree
}

// bigFile is one file of so many bytes, called big.
func bigFile(size int64) [][]file {
	return [][]file{{{path: "big", mode: 0o644, size: size, open: noise("big", size)}}}
}
