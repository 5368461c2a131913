package fusefs

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/layerfs/layerfs/tarindex"
)

// A file is one entry of a lower layer as the tests write it down.
type file struct {
	tar.Header
	data string
}

func dir(name string) file {
	return file{Header: tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o755}}
}

func regular(name, data string) file {
	return file{Header: tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}, data: data}
}

func symlink(name, target string) file {
	return file{Header: tar.Header{Name: name, Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: target}}
}

func hardlink(name, target string) file {
	return file{Header: tar.Header{Name: name, Typeflag: tar.TypeLink, Mode: 0o644, Linkname: target}}
}

// lowerTime is the mtime of every file of a lower that names no other.
var lowerTime = time.Unix(1600000000, 123456789)

func (u *union) writeIndex(files []file) {
	u.t.Helper()
	var stream bytes.Buffer
	w := tar.NewWriter(&stream)
	for _, f := range files {
		h := f.Header
		h.Format = tar.FormatPAX
		h.Size = int64(len(f.data))
		if h.ModTime.IsZero() {
			h.ModTime = lowerTime
		}
		if err := w.WriteHeader(&h); err != nil {
			u.t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.data); err != nil {
			u.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		u.t.Fatal(err)
	}
	layer, err := tarindex.Scan(u.t.Context(), &stream, contentDir(u.path("content")), io.Discard, tarindex.ScanOptions{})
	if err != nil {
		u.t.Fatal(err)
	}
	if len(layer.Warnings) > 0 {
		u.t.Fatal(layer.Warnings)
	}
	var own, merged bytes.Buffer
	if err := layer.WriteIndex(&own); err != nil {
		u.t.Fatal(err)
	}
	index, err := tarindex.Parse(own.Bytes())
	if err != nil {
		u.t.Fatal(err)
	}
	if err := tarindex.Merge(nil, index, &merged); err != nil {
		u.t.Fatal(err)
	}
	if err := os.WriteFile(u.path("index"), merged.Bytes(), 0o600); err != nil {
		u.t.Fatal(err)
	}
}

// contentDir is a tarindex.Sink: one file for each content, named by its hash.
type contentDir string

func (d contentDir) Put(h tarindex.Hash, data []byte) error {
	return os.WriteFile(filepath.Join(string(d), h.String()), data, 0o644)
}

func (d contentDir) Create(int64) (tarindex.ContentWriter, error) {
	f, err := os.CreateTemp(string(d), "new")
	return &contentFile{f, string(d)}, err
}

type contentFile struct {
	*os.File
	dir string
}

func (f *contentFile) Commit(h tarindex.Hash) error {
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(f.dir, h.String()))
}

func (f *contentFile) Abort() error {
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
