package image

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// forms are all the ways in which the same image may come.
var forms = []struct {
	name string
	dir  func(t testing.TB, f *fixture) string
}{
	{"oci plain", func(t testing.TB, f *fixture) string { return f.oci(t, "", "") }},
	{"oci gzip", func(t testing.TB, f *fixture) string { return f.oci(t, "gzip", "+gzip") }},
	{"oci zstd", func(t testing.TB, f *fixture) string { return f.oci(t, "zstd", "+zstd") }},
	{"docker-archive", func(t testing.TB, f *fixture) string { return f.archive(t) }},
	{"docker-archive of compressed layers", func(t testing.TB, f *fixture) string {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "sha256:"+hexOf(sha(f.config))), f.config)
		var names []string
		for i, l := range f.layers {
			name := fmt.Sprintf("%d.tar.gz", i)
			write(t, filepath.Join(dir, name), compress(t, l, "gzip"))
			names = append(names, name)
		}
		f.archiveManifest(t, dir, "sha256:"+hexOf(sha(f.config)), names)
		return dir
	}},
	{"docker-archive of linked layers", func(t testing.TB, f *fixture) string {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "config.json"), f.config)
		var names []string
		for i, l := range f.layers {
			write(t, filepath.Join(dir, fmt.Sprintf("data/%d", i)), l)
			name := fmt.Sprintf("%064x/layer.tar", i)
			link(t, fmt.Sprintf("../data/%d", i), filepath.Join(dir, name))
			names = append(names, name)
		}
		link(t, "data", filepath.Join(dir, "dirlink"))
		names[1] = "dirlink/1"
		if err := os.Link(filepath.Join(dir, "data/2"), filepath.Join(dir, "zz-hardlink")); err != nil {
			t.Fatal(err)
		}
		names[2] = "zz-hardlink"
		f.archiveManifest(t, dir, "config.json", names)
		return dir
	}},
	{"docker 25", func(t testing.TB, f *fixture) string {
		dir := t.TempDir()
		desc := f.putManifest(t, dir, "", "")
		putIndex(t, dir, with(desc, object{"annotations": object{
			"io.containerd.image.name":          "example.org/app:1",
			"org.opencontainers.image.ref.name": "1",
		}}))
		var names []string
		for _, d := range f.diffIDs {
			names = append(names, "blobs/sha256/"+hexOf(d))
		}
		f.archiveManifest(t, dir, "blobs/sha256/"+hexOf(sha(f.config)), names)
		return dir
	}},
	{"docker 25 with an empty index", func(t testing.TB, f *fixture) string {
		dir := t.TempDir()
		f.putManifest(t, dir, "", "")
		putIndex(t, dir)
		write(t, filepath.Join(dir, "index.json"), []byte(`{"schemaVersion":2,"manifests":null}`))
		var names []string
		for _, d := range f.diffIDs {
			names = append(names, "blobs/sha256/"+hexOf(d))
		}
		f.archiveManifest(t, dir, "blobs/sha256/"+hexOf(sha(f.config)), names)
		return dir
	}},
	{"nested index", func(t testing.TB, f *fixture) string {
		dir := t.TempDir()
		m := with(f.putManifest(t, dir, "gzip", "+gzip"), platform("linux", "amd64", ""))
		attestation := with(object{"mediaType": testOCIManifest, "digest": sha([]byte("x")), "size": 1},
			with(platform("unknown", "unknown", ""), object{"annotations": object{"vnd.docker.reference.type": "attestation-manifest"}}))
		inner := putBlob(t, dir, toJSON(t, object{"schemaVersion": 2, "mediaType": testOCIIndex, "manifests": []object{m, attestation}}), testOCIIndex)
		putIndex(t, dir, with(inner, refName("example.org/app:1")))
		return dir
	}},
	{"docker v2 media types", func(t testing.TB, f *fixture) string {
		dir := t.TempDir()
		var layers []object
		for _, l := range f.layers {
			layers = append(layers, putBlob(t, dir, compress(t, l, "gzip"), "application/vnd.docker.image.rootfs.diff.tar.gzip"))
		}
		const manifest = "application/vnd.docker.distribution.manifest.v2+json"
		m := putBlob(t, dir, toJSON(t, object{"schemaVersion": 2, "mediaType": manifest,
			"config": putBlob(t, dir, f.config, "application/vnd.docker.container.image.v1+json"), "layers": layers}), manifest)
		putIndex(t, dir, with(m, refName("example.org/app:1")))
		return dir
	}},
	{"v1", func(t testing.TB, f *fixture) string { return f.legacy(t) }},
}

func link(t testing.TB, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestImportEveryForm(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			s := newStore(t)
			dir := form.dir(t, f)
			for _, src := range []string{dir, pack(t, dir, "")} {
				images, err := Import(t.Context(), s, src, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if len(images) != 1 || images[0].Name != "example.org/app:1" {
					t.Fatalf("images: %+v", images)
				}
				want := *f
				if form.name == "v1" {
					want.config = nil // has none; see TestLegacyConfig
				}
				want.checkImage(t, s, images[0])
				stored, err := s.Image("example.org/app:1")
				if err != nil || stored.ChainID != images[0].ChainID || stored.Config != images[0].Config {
					t.Errorf("stored: %+v, %v", stored, err)
				}
				noStaging(t, s)
			}
		})
	}
}

func TestImportEveryCarrier(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir := f.archive(t)
	for _, option := range []string{"", "-z", "--zstd", "-j", "-J"} {
		for _, stdin := range []bool{false, true} {
			t.Run(fmt.Sprintf("tar %s stdin %v", option, stdin), func(t *testing.T) {
				s := newStore(t)
				src, o := pack(t, dir, option), Options{}
				if stdin {
					o.Stdin = bytes.NewReader(read(t, src))
					src = "-"
				}
				images, err := Import(t.Context(), s, src, o)
				if err != nil {
					t.Fatal(err)
				}
				f.checkImage(t, s, images[0])
				noStaging(t, s)
			})
		}
	}
}

func TestImportTarFormats(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir := f.archive(t)
	for _, format := range []string{"v7", "ustar", "gnu", "posix"} {
		t.Run(format, func(t *testing.T) {
			s := newStore(t)
			out := filepath.Join(t.TempDir(), "a.tar")
			run(t, nil, "tar", "-C", dir, "--format="+format, "-cf", out, ".")
			images, err := Import(t.Context(), s, out, Options{})
			if err != nil {
				t.Fatal(err)
			}
			f.checkImage(t, s, images[0])
		})
	}
}

// TestLegacyConfig: what docker makes of a v1 image, by the rules of docker's image specification v1.2.
func TestLegacyConfig(t *testing.T) {
	f := newFixture(t)
	s := newStore(t)
	dir := f.legacy(t)
	for _, named := range []bool{true, false} {
		if !named {
			if err := os.Remove(filepath.Join(dir, "repositories")); err != nil {
				t.Fatal(err)
			}
		}
		images, err := Import(t.Context(), s, pack(t, dir, ""), Options{})
		if err != nil {
			t.Fatal(err)
		}
		want := "example.org/app:1"
		if !named {
			want = images[0].Config.String()
		}
		if len(images) != 1 || images[0].Name != want {
			t.Fatalf("images %+v, want the name %s", images, want)
		}
		data, err := s.Blob(images[0].Config)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			ID, Parent, OS, Architecture string
			Size                         *int
			Config                       struct{ Cmd []string }
			RootFS                       struct {
				Type    string
				DiffIDs []string `json:"diff_ids"`
			}
			History []struct {
				Created   string
				CreatedBy string `json:"created_by"`
			}
		}
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if got.ID != "" || got.Parent != "" || got.Size != nil || got.OS != "linux" || got.Architecture != "amd64" ||
			!slices.Equal(got.Config.Cmd, []string{"/bin/sh"}) || got.RootFS.Type != "layers" || !slices.Equal(got.RootFS.DiffIDs, f.diffIDs) {
			t.Errorf("config %s", data)
		}
		if len(got.History) != 3 || got.History[1].CreatedBy != "/bin/sh -c step 1" || got.History[1].Created != "2014-01-02T03:04:05.678Z" {
			t.Errorf("history %+v", got.History)
		}
	}
}

func TestImportSeveralImages(t *testing.T) {
	a, b := newFixture(t), fixtureOf(t, "amd64", map[string]string{"b": "b"}, map[string]string{"c": "c"})
	// b's base is a's base: the archive has it once.
	b.layers[0], b.diffIDs[0] = a.layers[0], a.diffIDs[0]
	b.chainID = sha([]byte(b.diffIDs[0] + " " + b.diffIDs[1]))
	b.config = toJSON(t, object{"os": "linux", "architecture": "amd64", "rootfs": object{"type": "layers", "diff_ids": b.diffIDs}})
	dir := t.TempDir()
	var entries []object
	for i, f := range []*fixture{a, b, a} {
		config := hexOf(sha(f.config)) + ".json"
		write(t, filepath.Join(dir, config), f.config)
		var names []string
		for j, l := range f.layers {
			name := hexOf(f.diffIDs[j]) + ".tar"
			write(t, filepath.Join(dir, name), l)
			names = append(names, name)
		}
		tags := [][]string{{"app:a", "docker.io/library/app:other"}, nil, {"app:a", "again"}}[i]
		entries = append(entries, object{"Config": config, "RepoTags": tags, "Layers": names})
	}
	write(t, filepath.Join(dir, "manifest.json"), toJSON(t, entries))

	s := newStore(t)
	images, err := Import(t.Context(), s, pack(t, dir, ""), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, img := range images {
		names = append(names, img.Name)
	}
	want := []string{"app:a", "app:other", "again:latest", sha(b.config)}
	if !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
	a.checkImage(t, s, images[0])
	a.checkImage(t, s, images[2])
	b.checkImage(t, s, images[3])
	layers, err := s.Layers()
	if err != nil || len(layers) != 4 {
		t.Errorf("%d layers, %v; want 4, of which one is shared", len(layers), err)
	}

	_, err = Import(t.Context(), s, dir, Options{Name: "one"})
	if !errors.Is(err, ErrName) {
		t.Errorf("one name for two images: %v", err)
	}
}

func TestImportName(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir := t.TempDir()
	putIndex(t, dir, f.putManifest(t, dir, "", ""))
	for name, want := range map[string]string{
		"":                               sha(f.config),
		"debian":                         "debian:latest",
		"docker.io/library/debian:12":    "debian:12",
		"localhost:5000/x/y:z":           "localhost:5000/x/y:z",
		"example.org/a@" + sha([]byte{}): "example.org/a@" + sha([]byte{}),
	} {
		images, err := Import(t.Context(), newStore(t), dir, Options{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if images[0].Name != want {
			t.Errorf("name %q gives %q, want %q", name, images[0].Name, want)
		}
	}
	for _, bad := range []string{"UPPER", "a b", "-x", ":12", "a:b:c/", strings.Repeat("a", 300)} {
		if _, err := Import(t.Context(), newStore(t), dir, Options{Name: bad}); !errors.Is(err, ErrName) {
			t.Errorf("name %q: %v", bad, err)
		}
	}
}

// TestImportSHA512: the other digest algorithm of the specification.
func TestImportSHA512(t *testing.T) {
	f := newFixture(t)
	dir := t.TempDir()
	put := func(data []byte, mediaType string) object {
		sum := sha512.Sum512(data)
		write(t, filepath.Join(dir, "blobs/sha512", hex.EncodeToString(sum[:])), data)
		return object{"mediaType": mediaType, "digest": "sha512:" + hex.EncodeToString(sum[:]), "size": len(data)}
	}
	var layers []object
	for _, l := range f.layers {
		layers = append(layers, put(compress(t, l, "gzip"), testOCILayer+"+gzip"))
	}
	putIndex(t, dir, put(toJSON(t, object{"schemaVersion": 2, "config": put(f.config, testOCIConfig), "layers": layers}), testOCIManifest))
	s := newStore(t)
	images, err := Import(t.Context(), s, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f.checkImage(t, s, images[0])

	// Another compression of the same tar: the right DiffID, the wrong blob.
	blob := filepath.Join(dir, "blobs/sha512", strings.TrimPrefix(layers[0]["digest"].(string), "sha512:"))
	data := read(t, blob)
	data[9] ^= 1 // the header's operating system
	write(t, blob, data)
	if _, err := Import(t.Context(), newStore(t), dir, Options{}); !errors.Is(err, ErrDigest) {
		t.Errorf("%v", err)
	}
}

// TestImportSparseMember: GNU tar --sparse stores a map in place of the file's bytes.
func TestImportSparseMember(t *testing.T) {
	f := newFixture(t)
	dir := f.archive(t)
	hole := filepath.Join(dir, fmt.Sprintf("%064x/layer.tar", 1))
	if err := os.Truncate(hole, 1<<20); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"gnu", "posix"} {
		out := filepath.Join(t.TempDir(), "sparse.tar")
		run(t, nil, "tar", "-C", dir, "--sparse", "--format="+format, "-cf", out, ".")
		if fi, err := os.Stat(out); err != nil || fi.Size() > 1<<20 {
			t.Fatalf("the archive is not sparse: %v", err)
		}
		checkRefused(t, out, ErrDamaged, "--sparse")
	}
}
