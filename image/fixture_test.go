package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/store"
)

// The images of these tests are made by GNU tar, the compressors' own programs and JSON written by hand, so that
// nothing here tests this package with itself.

// sha is the digest of data, by way of the standard library alone.
func sha(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func hexOf(d string) string { return strings.TrimPrefix(d, "sha256:") }

// run runs a program and returns its standard output.
func run(t testing.TB, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, errOut.Bytes())
	}
	return out.Bytes()
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func toJSON(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// layerTar makes a layer with GNU tar.
func layerTar(t testing.TB, files map[string]string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(dir, name), []byte(content))
	}
	return run(t, nil, "tar", "-C", dir, "--sort=name", "--owner=1234", "--group=0", "--numeric-owner", "--mtime=@1700000000", "-cf", "-", ".")
}

// fixture is an image of three layers.
type fixture struct {
	layers  [][]byte // uncompressed, base first
	diffIDs []string
	chainID string
	config  []byte
}

type object = map[string]any

func newFixture(t testing.TB) *fixture {
	t.Helper()
	return fixtureOf(t, "amd64",
		map[string]string{"etc/os-release": "ID=test\n", "bin/sh": strings.Repeat("sh", 5000)},
		map[string]string{"etc/os-release": "ID=test\nVERSION=2\n", "usr/share/doc/a": "a"},
		map[string]string{"usr/share/doc/.wh.a": "", "usr/share/doc/b": "b"})
}

func fixtureOf(t testing.TB, arch string, layers ...map[string]string) *fixture {
	t.Helper()
	f := &fixture{}
	for _, files := range layers {
		data := layerTar(t, files)
		d := sha(data)
		f.layers = append(f.layers, data)
		f.diffIDs = append(f.diffIDs, d)
		if f.chainID == "" {
			f.chainID = d
		} else {
			f.chainID = sha([]byte(f.chainID + " " + d))
		}
	}
	f.config = []byte(fmt.Sprintf(`{
  "created": "2024-05-06T07:08:09Z", "architecture": %q, "os": "linux",
  "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]},
  "rootfs": {"type": "layers", "diff_ids": %s},
  "x-unknown": {"kept": true}
}`, arch, toJSON(t, f.diffIDs)))
	return f
}

// putBlob writes a blob of an OCI layout and returns its descriptor.
func putBlob(t testing.TB, dir string, data []byte, mediaType string) object {
	t.Helper()
	d := sha(data)
	write(t, filepath.Join(dir, "blobs/sha256", hexOf(d)), data)
	return object{"mediaType": mediaType, "digest": d, "size": len(data)}
}

// compress runs a compressor; "" is none.
func compress(t testing.TB, data []byte, program string) []byte {
	t.Helper()
	if program == "" {
		return data
	}
	return run(t, data, program, "-c")
}

const (
	testOCIManifest = "application/vnd.oci.image.manifest.v1+json"
	testOCIIndex    = "application/vnd.oci.image.index.v1+json"
	testOCIConfig   = "application/vnd.oci.image.config.v1+json"
	testOCILayer    = "application/vnd.oci.image.layer.v1.tar"
)

// putManifest writes an image's blobs and returns the manifest's descriptor.
func (f *fixture) putManifest(t testing.TB, dir, compressor, suffix string) object {
	t.Helper()
	layers := []object{}
	for _, l := range f.layers {
		layers = append(layers, putBlob(t, dir, compress(t, l, compressor), testOCILayer+suffix))
	}
	return putBlob(t, dir, toJSON(t, object{
		"schemaVersion": 2, "mediaType": testOCIManifest,
		"config": putBlob(t, dir, f.config, testOCIConfig),
		"layers": layers,
	}), testOCIManifest)
}

func putIndex(t testing.TB, dir string, manifests ...object) {
	t.Helper()
	write(t, filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
	write(t, filepath.Join(dir, "index.json"), toJSON(t, object{"schemaVersion": 2, "manifests": manifests}))
}

// with returns a copy of a descriptor with more fields.
func with(desc object, more object) object {
	out := object{}
	for _, m := range []object{desc, more} {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

func refName(name string) object {
	return object{"annotations": object{"org.opencontainers.image.ref.name": name}}
}

func platform(os, arch, variant string) object {
	p := object{"os": os, "architecture": arch}
	if variant != "" {
		p["variant"] = variant
	}
	return object{"platform": p}
}

// oci writes the image as an OCI layout directory.
func (f *fixture) oci(t testing.TB, compressor, suffix string) string {
	t.Helper()
	dir := t.TempDir()
	putIndex(t, dir, with(f.putManifest(t, dir, compressor, suffix), refName("example.org/app:1")))
	return dir
}

// archive writes the image as `docker save` from 1.10 to 24 did.
func (f *fixture) archive(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	config := hexOf(sha(f.config)) + ".json"
	write(t, filepath.Join(dir, config), f.config)
	names := []string{}
	for i, l := range f.layers {
		name := fmt.Sprintf("%064x/layer.tar", i+1)
		write(t, filepath.Join(dir, name), l)
		names = append(names, name)
	}
	f.archiveManifest(t, dir, config, names)
	return dir
}

func (f *fixture) archiveManifest(t testing.TB, dir, config string, layers []string) {
	t.Helper()
	write(t, filepath.Join(dir, "manifest.json"), toJSON(t, []object{{"Config": config, "RepoTags": []string{"example.org/app:1"}, "Layers": layers}}))
}

// legacy writes the image as docker did before 1.10.
func (f *fixture) legacy(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	parent := ""
	for i, l := range f.layers {
		id := fmt.Sprintf("%064x", i+1)
		doc := object{
			"id": id, "created": "2014-01-02T03:04:05.678Z", "architecture": "amd64", "os": "linux",
			"container_config": object{"Cmd": []string{"/bin/sh", "-c", fmt.Sprintf("step %d", i)}},
			"config":           object{"Cmd": []string{"/bin/sh"}}, "Size": len(l),
		}
		if parent != "" {
			doc["parent"] = parent
		}
		write(t, filepath.Join(dir, id, "VERSION"), []byte("1.0"))
		write(t, filepath.Join(dir, id, "json"), toJSON(t, doc))
		write(t, filepath.Join(dir, id, "layer.tar"), l)
		parent = id
	}
	write(t, filepath.Join(dir, "repositories"), toJSON(t, object{"example.org/app": object{"1": parent}}))
	return dir
}

// pack makes an archive of a directory, compressed by GNU tar's own means ("" for not, "-z", "--zstd", ...).
func pack(t testing.TB, dir, option string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "image.tar")
	args := []string{"-C", dir, "--sort=name", "-cf", out, "."}
	if option != "" {
		args = append([]string{option}, args...)
	}
	run(t, nil, "tar", args...)
	return out
}

func newStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "store"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// noStaging sees that no work in flight was left.
func noStaging(t testing.TB, s *store.Store) {
	t.Helper()
	for _, dir := range []string{"staging", "trash"} {
		entries, err := os.ReadDir(filepath.Join(s.Root(), dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			t.Errorf("left in %s: %s", dir, e.Name())
		}
	}
}

// checkImage compares a stored image with its fixture: chain, config bytes, and the bytes of each layer.
func (f *fixture) checkImage(t testing.TB, s *store.Store, img store.Image) {
	t.Helper()
	if img.ChainID.String() != f.chainID {
		t.Errorf("%s: chain %s, want %s", img.Name, img.ChainID, f.chainID)
	}
	if f.config != nil {
		config, err := s.Blob(img.Config)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(config, f.config) {
			t.Errorf("%s: config\n%s\nwant\n%s", img.Name, config, f.config)
		}
	}
	checkLayers(t, s, img.ChainID, f.diffIDs)
}

// checkLayers writes each layer of a chain out and compares its digest with what it should be.
func checkLayers(t testing.TB, s *store.Store, chainID digest.Digest, diffIDs []string) {
	t.Helper()
	chains, err := s.Ancestry(chainID)
	if err != nil {
		t.Fatal(err)
	}
	if len(chains) != len(diffIDs) {
		t.Fatalf("%d layers, want %d", len(chains), len(diffIDs))
	}
	for i, c := range chains {
		h := sha256.New()
		if err := s.LayerTar(t.Context(), c.ID, h); err != nil {
			t.Fatal(err)
		}
		if got := "sha256:" + hex.EncodeToString(h.Sum(nil)); got != diffIDs[i] {
			t.Errorf("layer %d is %s, want %s", i, got, diffIDs[i])
		}
	}
}
