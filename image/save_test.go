package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/store"
)

// saved saves images into a file.
func saved(t testing.TB, s *store.Store, format Format, refs ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "saved.tar")
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Save(t.Context(), s, refs, f, format, SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSave unpacks what was saved with GNU tar and follows its documents by hand.
func TestSave(t *testing.T) {
	f := newFixture(t)
	s := newStore(t)
	if _, err := Import(t.Context(), s, f.oci(t, "gzip", "+gzip"), Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tag("example.org/app:1", "debian:12"); err != nil {
		t.Fatal(err)
	}
	refs := []string{"example.org/app:1", "docker.io/library/debian:12", "example.org/app:1"}

	t.Run("oci", func(t *testing.T) {
		dir := t.TempDir()
		archive := saved(t, s, OCI, refs...)
		run(t, nil, "tar", "-C", dir, "-xf", archive)
		// Directories come before what is in them: skopeo makes missing ones for root only.
		if names := strings.Fields(string(run(t, nil, "tar", "-tf", archive)))[:3]; !slices.Equal(names, []string{"oci-layout", "blobs/", "blobs/sha256/"}) {
			t.Errorf("the archive begins with %q", names)
		}
		if got := string(read(t, filepath.Join(dir, "oci-layout"))); got != `{"imageLayoutVersion":"1.0.0"}` {
			t.Errorf("oci-layout %s", got)
		}
		type descriptor struct {
			MediaType, Digest string
			Size              int
			Annotations       map[string]string
			Platform          struct{ OS, Architecture string }
		}
		var index struct{ Manifests []descriptor }
		loadJSON(t, dir, "index.json", &index)
		if len(index.Manifests) != 2 {
			t.Fatalf("index %+v", index)
		}
		for i, want := range []string{"example.org/app:1", "docker.io/library/debian:12"} {
			m := index.Manifests[i]
			if m.Annotations["org.opencontainers.image.ref.name"] != want || m.Annotations["io.containerd.image.name"] != want ||
				m.Digest != index.Manifests[0].Digest || m.Platform.OS != "linux" || m.Platform.Architecture != "amd64" {
				t.Errorf("entry %+v, want %s", m, want)
			}
		}
		blob := func(d descriptor, mediaType string) []byte {
			t.Helper()
			data := read(t, filepath.Join(dir, "blobs/sha256", hexOf(d.Digest)))
			if sha(data) != d.Digest || len(data) != d.Size || d.MediaType != mediaType {
				t.Errorf("blob of %d bytes, digest %s, for %+v", len(data), sha(data), d)
			}
			return data
		}
		var m struct {
			Config descriptor
			Layers []descriptor
		}
		if err := json.Unmarshal(blob(index.Manifests[0], testOCIManifest), &m); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(blob(m.Config, testOCIConfig), f.config) {
			t.Error("the config's bytes changed")
		}
		var got []string
		for _, l := range m.Layers {
			blob(l, testOCILayer)
			got = append(got, l.Digest)
		}
		if !slices.Equal(got, f.diffIDs) {
			t.Errorf("layers %s, want %s", got, f.diffIDs)
		}
	})
	t.Run("docker-archive", func(t *testing.T) {
		dir := t.TempDir()
		run(t, nil, "tar", "-C", dir, "-xf", saved(t, s, DockerArchive, refs...))
		var m []struct {
			Config           string
			RepoTags, Layers []string
		}
		loadJSON(t, dir, "manifest.json", &m)
		if len(m) != 1 || !slices.Equal(m[0].RepoTags, []string{"example.org/app:1", "docker.io/library/debian:12"}) {
			t.Fatalf("manifest %+v", m)
		}
		if !bytes.Equal(read(t, filepath.Join(dir, m[0].Config)), f.config) {
			t.Error("the config's bytes changed")
		}
		var got []string
		for _, l := range m[0].Layers {
			got = append(got, sha(read(t, filepath.Join(dir, l))))
		}
		if !slices.Equal(got, f.diffIDs) {
			t.Errorf("layers %s, want %s", got, f.diffIDs)
		}
	})
}

func loadJSON(t testing.TB, dir, name string, into any) {
	t.Helper()
	if err := json.Unmarshal(read(t, filepath.Join(dir, name)), into); err != nil {
		t.Fatal(err)
	}
}

// TestSaveReproducible: another store, another order of events, the same bytes.
func TestSaveReproducible(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, format := range []Format{OCI, DockerArchive} {
		var first []byte
		for _, src := range []string{f.oci(t, "zstd", "+zstd"), f.archive(t)} {
			s := newStore(t)
			if _, err := Import(t.Context(), s, src, Options{}); err != nil {
				t.Fatal(err)
			}
			data := read(t, saved(t, s, format, "example.org/app:1"))
			if first == nil {
				first = data
			}
			if !bytes.Equal(data, first) {
				t.Errorf("%s: two saves differ", format)
			}
		}
	}
}

// TestSaveUnnamed: an image without a name, found by its config or a part of it, and one without layers.
func TestSaveUnnamed(t *testing.T) {
	f := &fixture{config: []byte(`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}`)}
	s := newStore(t)
	dir := t.TempDir()
	putIndex(t, dir, f.putManifest(t, dir, "", ""))
	if _, err := Import(t.Context(), s, dir, Options{}); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{sha(f.config), hexOf(sha(f.config))[:12]} {
		for _, format := range []Format{OCI, DockerArchive} {
			again := newStore(t)
			images, err := Import(t.Context(), again, saved(t, s, format, ref), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(images) != 1 || images[0].Name != sha(f.config) || images[0].ChainID != "" {
				t.Errorf("%+v", images)
			}
		}
	}
}

func TestSaveBad(t *testing.T) {
	f := newFixture(t)
	s := newStore(t)
	if _, err := Import(t.Context(), s, f.archive(t), Options{}); err != nil {
		t.Fatal(err)
	}
	if err := s.PutImage(store.Image{Name: "bare:1", ChainID: digest.Digest(f.chainID)}); err != nil {
		t.Fatal(err)
	}
	if err := s.PutImage(store.Image{Name: "wrong:1", ChainID: digest.Digest(f.diffIDs[0]), Config: digest.Digest(sha(f.config))}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		refs   []string
		format Format
		want   error
		names  string
	}{
		{[]string{"absent:1"}, OCI, store.ErrNotFound, "absent:1"},
		{[]string{"example.org/app:1", "absent:1"}, OCI, store.ErrNotFound, "absent:1"},
		{[]string{"Bad Name"}, OCI, store.ErrNotFound, "Bad Name"},
		{[]string{f.chainID}, OCI, store.ErrNotFound, f.chainID},
		{[]string{"bare:1"}, OCI, ErrNoImage, "bare:1"},
		{[]string{"wrong:1"}, OCI, ErrLayerCount, "wrong:1"},
		{nil, OCI, ErrName, ""},
		{[]string{"example.org/app:1"}, "zip", ErrFormat, "docker-archive"},
	} {
		err := Save(t.Context(), s, c.refs, io.Discard, c.format, SaveOptions{})
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%q: %v, want %v", c.refs, err, c.want)
		}
	}
	full := errors.New("disk full")
	if err := Save(t.Context(), s, []string{"example.org/app:1"}, failing{full}, OCI, SaveOptions{}); !errors.Is(err, full) {
		t.Errorf("full disk: %v", err)
	}
}

type failing struct{ err error }

func (w failing) Write([]byte) (int, error) { return 0, w.err }

func TestSaveProgress(t *testing.T) {
	f := newFixture(t)
	s := newStore(t)
	if _, err := Import(t.Context(), s, f.archive(t), Options{}); err != nil {
		t.Fatal(err)
	}
	var want, last int64
	for _, l := range f.layers {
		want += int64(len(l))
	}
	err := Save(t.Context(), s, []string{"example.org/app:1"}, io.Discard, OCI, SaveOptions{Progress: func(done, total int64) {
		if done < last || total != want {
			t.Errorf("%d of %d after %d, want a total of %d", done, total, last, want)
		}
		last = done
	}})
	if err != nil || last != want {
		t.Errorf("%v; ended at %d of %d", err, last, want)
	}
}

// needSkopeo: reading our archives with the tool that most others are built on.
func needSkopeo(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("skopeo is not installed, so nobody else can say whether the archive is right; apt-get install skopeo")
	}
}

// skopeoConfig is the config that skopeo finds in an archive, as it is.
func skopeoConfig(t testing.TB, ref string) []byte {
	t.Helper()
	return run(t, nil, "skopeo", "inspect", "--override-os=linux", "--config", "--raw", ref)
}

// TestSkopeo: skopeo reads what was saved, all digests verified by copying, and Import what skopeo made of it.
func TestSkopeo(t *testing.T) {
	t.Parallel()
	needSkopeo(t)
	f := newFixture(t)
	s := newStore(t)
	if _, err := Import(t.Context(), s, f.archive(t), Options{}); err != nil {
		t.Fatal(err)
	}
	for format, transport := range map[Format]string{OCI: "oci-archive:", DockerArchive: "docker-archive:"} {
		t.Run(string(format), func(t *testing.T) {
			ref := transport + saved(t, s, format, "example.org/app:1")
			for _, suffix := range []string{"", ":example.org/app:1"} {
				if got := skopeoConfig(t, ref+suffix); !bytes.Equal(got, f.config) {
					t.Errorf("skopeo reads the config %s", got)
				}
			}
			for _, to := range []string{"oci:", "oci-archive:", "docker-archive:"} {
				out := filepath.Join(t.TempDir(), "out")
				run(t, nil, "skopeo", "copy", "--insecure-policy", ref, to+out+":example.org/copy:2")
				again := newStore(t)
				images, err := Import(t.Context(), again, out, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if len(images) != 1 || images[0].Name != "example.org/copy:2" {
					t.Errorf("%s: %+v", to, images)
				}
				checkLayers(t, again, images[0].ChainID, f.diffIDs)
			}
		})
	}
}

// TestPodman: podman takes both formats, under the names that were saved.
func TestPodman(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("podman"); err != nil {
		t.Skip("podman is not installed; apt-get install podman")
	}
	dir := t.TempDir()
	// A user without subordinate ids cannot give files to others, which is not what this is about.
	podman := func(args ...string) ([]byte, error) {
		own := []string{"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs", "--storage-opt", "vfs.ignore_chown_errors=true"}
		out, err := exec.Command("podman", append(own, args...)...).Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return out, err
	}
	if _, err := podman("info"); err != nil {
		t.Skipf("podman does not work for this user here: %v", err)
	}
	// The test's own clean-up cannot remove what subordinate user ids may own.
	t.Cleanup(func() { podman("rmi", "--all", "--force") })
	f := newFixture(t)
	s := newStore(t)
	if _, err := Import(t.Context(), s, f.archive(t), Options{Name: "debian:12"}); err != nil {
		t.Fatal(err)
	}
	for _, format := range []Format{OCI, DockerArchive} {
		if out, err := podman("load", "-i", saved(t, s, format, "debian:12")); err != nil {
			t.Fatalf("%s: %v %s", format, err, out)
		}
		out, err := podman("images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}")
		if want := sha(f.config) + " docker.io/library/debian:12\n"; err != nil || string(out) != want {
			t.Errorf("%s: podman has %s(%v), want %s", format, out, err, want)
		}
		if out, err := podman("rmi", "--all", "--force"); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
}
