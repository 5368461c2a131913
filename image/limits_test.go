package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/layerfs/layerfs/tarindex"
)

// Documents that are small on the wire and big in memory, or that take long to go through.
func TestDocumentBombs(t *testing.T) {
	t.Parallel()
	many := func(n int, value string) string { return strings.TrimSuffix(strings.Repeat(value+",", n), ",") }
	for _, c := range []struct{ name, document, text, message string }{
		{"empty descriptors", "index.json", `{"manifests":[` + many(200_000, "{}") + `]}`, "199999 values"},
		{"empty layers", "index.json", `{"layers":[` + many(2_000_000, "{}") + `]}`, "1999999 values"},
		{"tags", "manifest.json", `[{"RepoTags":[` + many(10_001, `"a:1"`) + `]}]`, "10001 names"},
		{"tags of several images", "manifest.json", `[` + many(101, `{"RepoTags":[`+many(100, `"a:1"`)+`]}`) + `]`, "10100 names"},
		{"images", "manifest.json", `[` + many(10_001, `{}`) + `]`, "10001 images"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, c.document), []byte(c.text))
			checkRefused(t, dir, ErrTooLarge, c.message)
		})
	}
	t.Run("v1 names", func(t *testing.T) {
		var tags []string
		for i := range 10_001 {
			tags = append(tags, fmt.Sprintf(`"%d":"%s"`, i, hexOf(sha(nil))))
		}
		dir := t.TempDir()
		write(t, filepath.Join(dir, "repositories"), []byte(`{"a":{`+strings.Join(tags, ",")+`}}`))
		checkRefused(t, dir, ErrTooLarge, "10001 names")
	})
	// What is in strings does not count: labels may hold whole documents.
	t.Run("a long label", func(t *testing.T) {
		f := newFixture(t)
		dir := f.archive(t)
		edit(t, filepath.Join(dir, hexOf(sha(f.config))+".json"), func(doc object) {
			doc["config"] = object{"Labels": object{"sbom": strings.Repeat(`,"\,`, 300_000)}}
		})
		config := read(t, filepath.Join(dir, hexOf(sha(f.config))+".json"))
		write(t, filepath.Join(dir, "c.json"), config)
		f.archiveManifest(t, dir, "c.json", layersOf(t, dir))
		s := newStore(t)
		if _, err := Import(t.Context(), s, dir, Options{}); err != nil {
			t.Fatal(err)
		}
	})
}

// layersOf reads the first image's layers out of a manifest.json.
func layersOf(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := readArchiveManifest(must(openDir(dir)))
	if err != nil || len(entries) == 0 {
		t.Fatal(entries, err)
	}
	return entries[0].Layers
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Every manifest is within bounds; together they are not.
func TestManyDocuments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
	var manifests []object
	for i := range 12 { // 12 configs of 6 MiB
		c := toJSON(t, object{"os": "linux", "author": fmt.Sprint(i, strings.Repeat("x", 6<<20)), "rootfs": object{"type": "layers", "diff_ids": []string{}}})
		desc := putBlob(t, dir, c, testOCIConfig)
		m := object{"schemaVersion": 2, "mediaType": testOCIManifest, "config": desc, "layers": []object{}}
		manifests = append(manifests, putBlob(t, dir, toJSON(t, m), testOCIManifest))
	}
	putIndex(t, dir, manifests...)
	checkRefused(t, dir, ErrTooLarge, "together")
}

func TestArchiveBombs(t *testing.T) {
	t.Parallel()
	archive := func(t *testing.T, n int, name func(i int) string) string {
		path := filepath.Join(t.TempDir(), "bomb.tar")
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for i := range n {
			if err := w.WriteHeader(&tar.Header{Name: name(i), Typeflag: tar.TypeReg}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		write(t, path, b.Bytes())
		return path
	}
	t.Run("members", func(t *testing.T) {
		checkRefused(t, archive(t, maxMembers+1, func(i int) string { return fmt.Sprint(i) }), ErrTooLarge, "262144 files")
	})
	t.Run("names", func(t *testing.T) {
		long := strings.Repeat("x", 1<<20-100)
		checkRefused(t, archive(t, 34, func(i int) string { return fmt.Sprint(i, long) }), ErrTooLarge, "33554432 bytes")
	})
	// A name that comes again and again is one file.
	t.Run("one name", func(t *testing.T) {
		checkRefused(t, archive(t, 1000, func(int) string { return "x" }), ErrNoImage, "manifest.json")
	})
	t.Run("zeros", func(t *testing.T) {
		zeros := make([]byte, 100<<20)
		copy(zeros, "x\x00")
		path := filepath.Join(t.TempDir(), "zeros.tar.gz")
		write(t, path, compress(t, zeros, "gzip"))
		s := newStore(t)
		for _, l := range []tarindex.Limits{{Size: 1 << 20}, {Ratio: 100}} {
			_, err := Import(t.Context(), s, path, Options{Limits: l})
			var exceeded *tarindex.LimitError
			if !errors.As(err, &exceeded) || !strings.Contains(err.Error(), path) {
				t.Errorf("%+v: %v", l, err)
			}
			noStaging(t, s)
		}
	})
}

// An archive of a size that it does not have costs nothing.
func TestHugeDocument(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "index.json"), nil)
	if err := os.Truncate(filepath.Join(dir, "index.json"), 10<<30); err != nil {
		t.Fatal(err)
	}
	checkRefused(t, dir, ErrTooLarge, "10737418240 bytes")
}
