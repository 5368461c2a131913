package image

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"testing"
)

// memory is a source of documents without a disk. A blob stands for every name that has no document of its own.
type memory struct {
	documents map[string][]byte
	blob      []byte
	*budget
}

type memoryFile struct{ *bytes.Reader }

func (memoryFile) Close() error { return nil }

func (m memory) open(name string) (file, error) {
	data, ok := m.documents[name]
	if !ok && m.blob != nil {
		data, ok = m.blob, true
	}
	if !ok || data == nil {
		return nil, fs.ErrNotExist
	}
	return memoryFile{bytes.NewReader(data)}, nil
}

func (m memory) glob(pattern string) ([]string, error) {
	var names []string
	for name := range m.documents {
		if ok, err := path.Match(pattern, name); err != nil {
			return nil, err
		} else if ok {
			names = append(names, name)
		}
	}
	return names, nil
}

func (m memory) hint() string { return "" }
func (m memory) Close() error { return nil }

// FuzzResolve: whatever the documents say, resolving ends, with images that can be unpacked or with an error of a known
// kind.
func FuzzResolve(f *testing.F) {
	config := `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["` + sha([]byte("x")) + `"]}}`
	manifest := `{"schemaVersion":2,"config":{"mediaType":"` + testOCIConfig + `","digest":"` + sha([]byte(config)) + `","size":1},"layers":[]}`
	index := `{"schemaVersion":2,"manifests":[{"mediaType":"` + testOCIManifest + `","digest":"` + sha([]byte(manifest)) + `","size":183}]}`
	f.Add([]byte(index), []byte(nil), []byte(nil), []byte(manifest))
	f.Add([]byte(nil), []byte(`[{"Config":"c.json","RepoTags":["a:1"],"Layers":["l.tar"]}]`), []byte(nil), []byte(config))
	f.Add([]byte(nil), []byte(nil), []byte(`{"a":{"1":"`+hexOf(sha(nil))+`"}}`), []byte(`{"id":"`+hexOf(sha(nil))+`"}`))
	f.Add([]byte(`{"manifests":null}`), []byte(`[]`), []byte(`{}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, index, archive, repositories, blob []byte) {
		all := budget(maxDocuments)
		m := memory{documents: map[string][]byte{"oci-layout": nil}, blob: blob, budget: &all}
		for name, data := range map[string][]byte{"index.json": index, "manifest.json": archive, "repositories": repositories} {
			m.documents[name] = data
			if len(data) == 0 {
				m.documents[name] = nil
			}
		}
		images, err := resolve(m, nil)
		for _, kind := range []error{ErrNoImage, ErrMissing, ErrDigest, ErrSize, ErrMediaType, ErrPlatform, ErrLayerCount, ErrTooLarge, ErrJSON, ErrName} {
			if errors.Is(err, kind) {
				return
			}
		}
		if err != nil {
			t.Fatalf("an error of no kind: %v", err)
		}
		if len(images) == 0 {
			t.Fatal("neither an image nor an error")
		}
		for _, f := range images {
			if (f.v1 == nil) == (f.config.data == nil) || f.v1 != nil && len(f.v1) != len(f.layers) {
				t.Fatalf("half an image: %+v", f)
			}
		}
	})
}
