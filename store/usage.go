package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
)

// Usage is what the store holds and what that costs. Sizes are lengths of files in bytes, so that contents compare with
// layers and images, whatever of their zeros is holes; but for RW layers and litter: those are bytes of disk.
type Usage struct {
	Images   int `json:"images"`
	Chains   int `json:"chains"`
	Layers   int `json:"layers"`
	RWs      int `json:"rwLayers"`
	Contents int `json:"contents"`
	Packs    int `json:"packs"` // files that hold the small ones of the contents

	ContentBytes int64 `json:"contentBytes"` // the pool: every content once
	PackBytes    int64 `json:"packBytes"`    // the packs: small contents, their tables, and what is in two packs
	LayerBytes   int64 `json:"layerBytes"`   // what the files of all layers would be, each layer on its own
	ImageBytes   int64 `json:"imageBytes"`   // what the files of all images would be, each image on its own

	RecordBytes int64 `json:"recordBytes"` // layers' indexes, tar-split and records; chains, images, configs, manifests
	MergedBytes int64 `json:"mergedBytes"` // cached merged indexes: can be deleted and made again
	RWBytes     int64 `json:"rwBytes"`
	LitterBytes int64 `json:"litterBytes"` // staging and trash: work in flight, or for gc

	FreeBytes  int64 `json:"freeBytes"` // of the file system, for this user
	TotalBytes int64 `json:"totalBytes"`
}

// Usage measures the store. It takes no lock: what changes meanwhile is counted or not.
func (s *Store) Usage() (Usage, error) {
	var u Usage
	imgs, err := s.Images()
	if err != nil {
		return u, err
	}
	u.Images = len(imgs)
	for _, img := range imgs {
		if img.ChainID == "" {
			continue
		}
		c, err := s.Chain(img.ChainID)
		if err != nil {
			return u, fmt.Errorf("image %s: %w", img.Name, err)
		}
		u.ImageBytes += c.Size
	}
	layers, err := s.Layers()
	if err != nil {
		return u, err
	}
	u.Layers = len(layers)
	for _, l := range layers {
		u.LayerBytes += l.ContentBytes
	}
	for dir, n := range map[string]*int{"chains/sha256": &u.Chains, "rw": &u.RWs} {
		names, err := s.list(dir)
		if err != nil {
			return u, err
		}
		*n = len(names)
	}
	if err := s.measure(&u); err != nil {
		return u, err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(s.root, &st); err != nil {
		return u, fmt.Errorf("statfs %s: %w", s.root, err)
	}
	u.FreeBytes, u.TotalBytes = int64(st.Bavail)*st.Bsize, int64(st.Blocks)*st.Bsize
	return u, nil
}

// measure adds up the files of each part of the store.
func (s *Store) measure(u *Usage) error {
	if err := s.measurePool(u); err != nil {
		return err
	}
	length := func(fi fs.FileInfo) int64 { return fi.Size() }
	for _, part := range []struct {
		dir  string
		to   *int64
		size func(fs.FileInfo) int64
	}{
		{"layers", &u.RecordBytes, length}, {"chains", &u.RecordBytes, length},
		{"images", &u.RecordBytes, length}, {"blobs", &u.RecordBytes, length},
		{"merged", &u.MergedBytes, length},
		{"rw", &u.RWBytes, blocks},
		{"staging", &u.LitterBytes, blocks}, {"trash", &u.LitterBytes, blocks},
	} {
		n, err := s.sum(part.dir, part.size)
		if err != nil {
			return err
		}
		*part.to += n
	}
	return nil
}

// measurePool counts the contents, each once, and the packs.
func (s *Store) measurePool(u *Usage) error {
	seen := map[tarindex.Hash]struct{}{}
	note := func(h tarindex.Hash, size int64) {
		if _, twice := seen[h]; !twice {
			seen[h] = struct{}{}
			u.Contents++
			u.ContentBytes += size
		}
	}
	err := s.packs.each(func(p *openPack) {
		u.Packs++
		u.PackBytes += p.Size()
		for e := range p.All() {
			note(e.Hash, e.Size)
		}
	})
	if err != nil {
		return err
	}
	return s.walk("content", func(path string, fi fs.FileInfo) {
		// A name that is no hash is not a content; check says so.
		if h, err := tarindex.ParseHash(strings.ReplaceAll(path, "/", "")); err == nil {
			note(h, fi.Size())
		}
	})
}

// Size is the bytes of disk that what was written in the RW layer takes.
func (rw *RW) Size() (int64, error) { return rw.store.sum("rw/"+rw.Name+"/upper", blocks) }

// blocks is the disk that a file takes: less than its length if it has holes.
func blocks(fi fs.FileInfo) int64 { return fi.Sys().(*syscall.Stat_t).Blocks * 512 }

// size is the length of a file, or of all files in a directory.
func (s *Store) size(path string) (int64, error) {
	return s.sum(path, func(fi fs.FileInfo) int64 { return fi.Size() })
}

// sum adds up size over all files at and below path. Files with several names count once for each: only RW layers have
// them, and few.
func (s *Store) sum(path string, size func(fs.FileInfo) int64) (n int64, err error) {
	err = s.walk(path, func(_ string, fi fs.FileInfo) { n += size(fi) })
	return n, err
}

// walk calls f for all files at and below top, with the path from there on.
func (s *Store) walk(top string, f func(path string, fi fs.FileInfo)) error {
	top = s.path(top)
	return filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		fi, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		f(strings.TrimPrefix(strings.TrimPrefix(path, top), "/"), fi)
		return nil
	})
}

// ignoreGone makes an error of nothing if it only says that a file was removed while we looked, or became another kind of
// file: RW layers are in use.
func ignoreGone(err error) error {
	if gone(err) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}
