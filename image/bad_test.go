package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// edit changes one JSON document of a directory in place.
func edit(t *testing.T, path string, change func(doc object)) {
	t.Helper()
	var doc object
	if err := json.Unmarshal(read(t, path), &doc); err != nil {
		t.Fatal(err)
	}
	change(doc)
	write(t, path, toJSON(t, doc))
}

// rehash writes an edited manifest of an OCI layout under its new digest and points index.json to it.
func rehash(t *testing.T, dir string, change func(manifest object)) {
	t.Helper()
	edit(t, filepath.Join(dir, "index.json"), func(index object) {
		desc := index["manifests"].([]any)[0].(object)
		path := filepath.Join(dir, "blobs/sha256", hexOf(desc["digest"].(string)))
		edit(t, path, change)
		for k, v := range putBlob(t, dir, read(t, path), testOCIManifest) {
			desc[k] = v
		}
	})
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	configBlob := "blobs/sha256/" + hexOf(sha(f.config))
	layerBlob := func(i int) string { return "blobs/sha256/" + hexOf(f.diffIDs[i]) }
	// Each case spoils a good image; its error must be of the kind and name the object.
	type spoil func(t *testing.T, dir string)
	at := func(name string, data string) spoil {
		return func(t *testing.T, dir string) { write(t, filepath.Join(dir, name), []byte(data)) }
	}
	without := func(name string) spoil {
		return func(t *testing.T, dir string) { remove(t, filepath.Join(dir, name)) }
	}
	manifest := func(change func(object)) spoil {
		return func(t *testing.T, dir string) { rehash(t, dir, change) }
	}
	descriptor := func(change func(object)) spoil {
		return func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, "index.json"), func(index object) { change(index["manifests"].([]any)[0].(object)) })
		}
	}
	layer := func(m object, i int) object { return m["layers"].([]any)[i].(object) }
	other := layerTar(t, map[string]string{"other": "other"})

	for _, c := range []struct {
		name  string
		form  string
		spoil spoil
		want  error
		names string // the object that the message must name
	}{
		{"empty directory", "empty", func(*testing.T, string) {}, ErrNoImage, "index.json"},
		{"a root filesystem", "empty", at("etc/passwd", "root"), ErrNoImage, "layerfs register"},
		{"index is no JSON", "oci", at("index.json", "hello"), ErrJSON, "index.json"},
		{"index is of the wrong kind", "oci", at("index.json", `{"schemaVersion":2,"manifests":"x"}`), ErrJSON, "index.json"},
		{"index is cut off", "oci", at("index.json", `{"schemaVersion":2,"manifests":[`), ErrJSON, "index.json"},
		{"index is a manifest", "oci", at("index.json", `{"schemaVersion":2,"config":{},"layers":[]}`), ErrJSON, "index.json"},
		{"index is of schema 1", "oci", at("index.json", `{"schemaVersion":1,"fsLayers":[]}`), ErrMediaType, "schema 1"},
		{"index is huge", "oci", at("index.json", strings.Repeat(" ", 9<<20)), ErrTooLarge, "index.json"},
		{"index is deep", "oci", at("index.json", strings.Repeat("[", 1<<20)), ErrJSON, "index.json"},
		{"newer layout", "oci", at("oci-layout", `{"imageLayoutVersion":"2.0.0"}`), ErrMediaType, "2.0.0"},
		{"no manifest blob", "oci", descriptor(func(d object) { d["digest"] = sha([]byte("x")) }), ErrMissing, hexOf(sha([]byte("x")))},
		{"digest is a path", "oci", descriptor(func(d object) { d["digest"] = "sha256:../../index.json" }), ErrDigest, "../../index.json"},
		{"digest is unknown", "oci", descriptor(func(d object) { d["digest"] = "md5:d41d8cd98f00b204e9800998ecf8427e" }), ErrDigest, "md5"},
		{"manifest size", "oci", descriptor(func(d object) { d["size"] = 5 }), ErrSize, "manifest sha256:"},
		{"manifest media type", "oci", descriptor(func(d object) { d["mediaType"] = "text/plain" }), ErrMediaType, "text/plain"},
		{"contradicting media types", "oci", descriptor(func(d object) { d["mediaType"] = dockerManifest }), ErrMediaType, dockerManifest},
		{"manifest and index at once", "oci", manifest(func(m object) { m["manifests"] = []object{} }), ErrJSON, "at once"},
		{"manifest without config", "oci", manifest(func(m object) { delete(m, "config") }), ErrJSON, "no config"},
		{"config media type", "oci", manifest(func(m object) { m["config"].(object)["mediaType"] = "application/vnd.cncf.helm.config.v1+json" }), ErrMediaType, "helm"},
		{"no config", "oci", without(configBlob), ErrMissing, configBlob},
		{"config digest", "oci", at(configBlob, strings.Replace(string(f.config), "amd64", "amd65", 1)), ErrDigest, hexOf(sha(f.config))},
		{"layer media type", "oci", manifest(func(m object) { layer(m, 1)["mediaType"] = testOCILayer + "+encrypted" }), ErrMediaType, "+encrypted"},
		{"layer digest is a path", "oci", manifest(func(m object) { layer(m, 1)["digest"] = "../../etc/passwd" }), ErrDigest, "../../etc/passwd"},
		{"no layer", "oci", without(layerBlob(1)), ErrMissing, layerBlob(1)},
		{"layer size", "oci", at(layerBlob(1), "short"), ErrSize, layerBlob(1)},
		{"layer digest", "oci", at(layerBlob(1), strings.Repeat("x", len(f.layers[1]))), ErrDigest, layerBlob(1)},
		{"layer bit flip", "oci", func(t *testing.T, dir string) {
			data := bytes.Replace(f.layers[1], []byte("VERSION=2"), []byte("VERSION=3"), 1)
			write(t, filepath.Join(dir, layerBlob(1)), data)
		}, ErrDigest, layerBlob(1)},
		{"layer of another image", "oci", func(t *testing.T, dir string) {
			desc := putBlob(t, dir, other, testOCILayer)
			rehash(t, dir, func(m object) { m["layers"].([]any)[1] = desc })
		}, ErrDigest, hexOf(sha(other))},
		{"one layer more", "oci", manifest(func(m object) { m["layers"] = append(m["layers"].([]any), layer(m, 0)) }), ErrLayerCount, "4 layers"},
		{"one layer less", "oci", manifest(func(m object) { m["layers"] = m["layers"].([]any)[:2] }), ErrLayerCount, "2 layers"},
		{"blob is a directory", "oci", func(t *testing.T, dir string) {
			remove(t, filepath.Join(dir, configBlob))
			write(t, filepath.Join(dir, configBlob, "x"), nil)
		}, ErrDamaged, configBlob},
		{"blob is a fifo", "oci", func(t *testing.T, dir string) {
			remove(t, filepath.Join(dir, configBlob))
			if err := syscall.Mkfifo(filepath.Join(dir, configBlob), 0o600); err != nil {
				t.Fatal(err)
			}
		}, ErrDamaged, configBlob},

		{"archive manifest is no JSON", "archive", at("manifest.json", "]"), ErrJSON, "manifest.json"},
		{"archive manifest is an object", "archive", at("manifest.json", `{"schemaVersion":2}`), ErrJSON, "manifest.json"},
		{"archive without images", "archive", at("manifest.json", `[]`), ErrNoImage, ""},
		{"archive without config", "archive", without(hexOf(sha(f.config)) + ".json"), ErrMissing, hexOf(sha(f.config))},
		{"archive config digest", "archive", at(hexOf(sha(f.config))+".json", "{}"), ErrDigest, hexOf(sha(f.config))},
		{"archive config of something else", "archive", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "c.json"), []byte(`{"name":"chart"}`))
			f.archiveManifest(t, dir, "c.json", nil)
		}, ErrMediaType, "rootfs"},
		{"archive diff_ids", "archive", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "c.json"), []byte(`{"rootfs":{"type":"layers","diff_ids":["sha256:zz"]}}`))
			f.archiveManifest(t, dir, "c.json", []string{"x"})
		}, ErrDigest, "diff_ids[0]"},
		{"archive layer count", "archive", func(t *testing.T, dir string) {
			f.archiveManifest(t, dir, hexOf(sha(f.config))+".json", nil)
		}, ErrLayerCount, "0 layers"},
		{"archive without a layer", "archive", without(fmt.Sprintf("%064x/layer.tar", 2)), ErrMissing, fmt.Sprintf("%064x/layer.tar", 2)},
		{"archive with a wrong layer", "archive", at(fmt.Sprintf("%064x/layer.tar", 2), string(other)), ErrDigest, fmt.Sprintf("%064x/layer.tar", 2)},
		{"archive with a truncated layer", "archive", at(fmt.Sprintf("%064x/layer.tar", 1), string(f.layers[0][:3000])), ErrTruncated, fmt.Sprintf("%064x/layer.tar", 1)},
		{"archive with a bad name", "archive", func(t *testing.T, dir string) {
			m := read(t, filepath.Join(dir, "manifest.json"))
			write(t, filepath.Join(dir, "manifest.json"), bytes.Replace(m, []byte("example.org/app:1"), []byte("Bad Name"), 1))
		}, ErrName, "Bad Name"},
		{"layer links out", "archive", func(t *testing.T, dir string) {
			name := filepath.Join(dir, fmt.Sprintf("%064x/layer.tar", 2))
			remove(t, name)
			link(t, "../../../etc/passwd", name)
		}, ErrLink, fmt.Sprintf("%064x/layer.tar", 2)},
		{"layer links to itself", "archive", func(t *testing.T, dir string) {
			name := filepath.Join(dir, fmt.Sprintf("%064x/layer.tar", 2))
			remove(t, name)
			link(t, "../b", name)
			link(t, "a", filepath.Join(dir, "b"))
			link(t, "b", filepath.Join(dir, "a"))
		}, ErrLink, fmt.Sprintf("%064x/layer.tar", 2)},

		{"archive of too many layers", "archive", func(t *testing.T, dir string) {
			many := make([]string, 5000)
			for i := range many {
				many[i] = f.diffIDs[0]
			}
			write(t, filepath.Join(dir, "c.json"), toJSON(t, object{"rootfs": object{"type": "layers", "diff_ids": many}}))
			f.archiveManifest(t, dir, "c.json", many)
		}, ErrTooLarge, "5000 layers"},
		{"index is a directory", "oci", func(t *testing.T, dir string) {
			remove(t, filepath.Join(dir, "index.json"))
			write(t, filepath.Join(dir, "index.json/x"), nil)
		}, ErrDamaged, "index.json"},

		{"v1 without json", "v1", without(fmt.Sprintf("%064x/json", 2)), ErrMissing, fmt.Sprintf("%064x/json", 2)},
		{"v1 without layer", "v1", without(fmt.Sprintf("%064x/layer.tar", 2)), ErrMissing, fmt.Sprintf("%064x/layer.tar", 2)},
		{"v1 repositories", "v1", at("repositories", `{"a":{"b":"../../etc"}}`), ErrJSON, "../../etc"},
		{"v1 parents go round", "v1", func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, fmt.Sprintf("%064x/json", 1)), func(doc object) { doc["parent"] = fmt.Sprintf("%064x", 3) })
		}, ErrTooLarge, "circles"},
		{"v1 of another id", "v1", func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, fmt.Sprintf("%064x/json", 1)), func(doc object) { doc["id"] = "other" })
		}, ErrJSON, "other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var dir string
			switch c.form {
			case "empty":
				dir = t.TempDir()
			case "oci":
				dir = f.oci(t, "", "")
			case "archive":
				dir = f.archive(t)
			case "v1":
				dir = f.legacy(t)
			}
			c.spoil(t, dir)
			for _, src := range []string{dir, pack(t, dir, "")} {
				checkRefused(t, src, c.want, c.names)
			}
		})
	}
}

// checkRefused imports what cannot be imported, and sees that nothing came of it.
func checkRefused(t *testing.T, src string, want error, names string) {
	t.Helper()
	s := newStore(t)
	images, err := Import(t.Context(), s, src, Options{})
	if err == nil {
		t.Fatalf("imported %+v", images)
	}
	if !errors.Is(err, want) {
		t.Errorf("error %q, want one that is %q", err, want)
	}
	if !strings.Contains(err.Error(), names) || !strings.Contains(err.Error(), src) {
		t.Errorf("error %q does not name %s and %s", err, src, names)
	}
	noStaging(t, s)
	if images, err := s.Images(); err != nil || len(images) > 0 {
		t.Errorf("images left: %v %v", images, err)
	}
	if chains, err := s.Chains(); err != nil || len(chains) > 0 {
		t.Errorf("chains left: %v %v", chains, err)
	}
}

func TestBadArchive(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	whole := read(t, pack(t, f.archive(t), ""))
	zipped := compress(t, whole, "gzip")
	damaged := bytes.Clone(whole)
	second := bytes.Index(damaged, []byte("layer.tar")) // within some header
	copy(damaged[second:], "XXXX")
	noise := bytes.Repeat([]byte("not a tar at all. "), 1000)
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"empty", nil, ErrNotArchive},
		{"one byte", []byte("x"), ErrNotArchive},
		{"noise", noise, ErrNotArchive},
		{"zeros", make([]byte, 10240), ErrNotArchive},
		{"cut in a member", whole[:len(whole)/2+100], ErrTruncated},
		{"bad header", damaged, ErrDamaged},
		{"gzip cut off", zipped[:len(zipped)/2], ErrTruncated},
		{"gzip of noise", compress(t, noise, "gzip"), ErrNotArchive},
		{"gzip of gzip", compress(t, zipped, "gzip"), ErrNotArchive},
		{"one layer", f.layers[0], ErrNoImage},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.tar")
			write(t, path, c.data)
			checkRefused(t, path, c.want, "bad.tar")
			s := newStore(t)
			if _, err := Import(t.Context(), s, "-", Options{Stdin: bytes.NewReader(c.data)}); !errors.Is(err, c.want) {
				t.Errorf("from a pipe: %v", err)
			} else if !strings.Contains(err.Error(), "standard input") {
				t.Errorf("the error does not name the source: %v", err)
			}
			noStaging(t, s)
		})
	}
	t.Run("absent", func(t *testing.T) { checkRefused(t, "/does/not/exist", fs.ErrNotExist, "/does/not/exist") })
	t.Run("cut between members", func(t *testing.T) {
		// GNU tar writes the members in the order given; without the last there is a missing file and no end mark.
		dir := f.archive(t)
		config := hexOf(sha(f.config)) + ".json"
		tarball := run(t, nil, "tar", "-C", dir, "-cf", "-", "manifest.json", config)
		short := filepath.Join(t.TempDir(), "short.tar")
		write(t, short, tarball[:512+(len(read(t, filepath.Join(dir, "manifest.json")))+511)&^511])
		checkRefused(t, short, ErrMissing, "cut off")
	})
}

func TestIndexBomb(t *testing.T) {
	dir := t.TempDir()
	desc := object{"mediaType": testOCIManifest, "digest": sha([]byte("x")), "size": 1}
	for range 5 {
		var many []object
		for range 100 {
			many = append(many, desc)
		}
		desc = putBlob(t, dir, toJSON(t, object{"schemaVersion": 2, "manifests": many}), testOCIIndex)
	}
	putIndex(t, dir, desc)
	checkRefused(t, dir, ErrTooLarge, "10000")

	dir = t.TempDir()
	desc = object{"mediaType": testOCIManifest, "digest": sha([]byte("x")), "size": 1}
	for range 20 {
		desc = putBlob(t, dir, toJSON(t, object{"schemaVersion": 2, "manifests": []object{desc}}), testOCIIndex)
	}
	putIndex(t, dir, desc)
	checkRefused(t, dir, ErrTooLarge, "deeper")
}
