package image

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// realImages finds images that other people's tools wrote: in LAYERFS_TEST_IMAGES, or beside the repository.
func realImages(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("LAYERFS_TEST_IMAGES")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "images")
		if _, err := os.Stat(dir); err != nil {
			t.Skip("no collection of images; set LAYERFS_TEST_IMAGES to a directory of docker-archives and OCI layouts")
		}
	}
	return dir
}

// configOf reads a real image's config with skopeo, which is told the form by its name.
func configOf(t *testing.T, path string) []byte {
	t.Helper()
	transport := "docker-archive:"
	if fi, err := os.Stat(path); err == nil && fi.IsDir() {
		transport = "oci:"
	} else if strings.HasPrefix(filepath.Base(path), "test-oci-") {
		transport = "oci-archive:"
	}
	return run(t, nil, "skopeo", "--override-arch="+runtime.GOARCH, "inspect", "--config", "--raw", transport+path)
}

// TestRealImages: every image goes in, has the layers and the config that skopeo reads, comes out in both formats
// and goes in again.
func TestRealImages(t *testing.T) {
	dir := realImages(t)
	needSkopeo(t)
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	tested := 0
	for _, path := range paths {
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if !fi.IsDir() && filepath.Ext(path) != ".tar" {
			continue // a README, a plain root filesystem
		}
		tested++
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			want := configOf(t, path)
			var config struct {
				RootFS struct {
					DiffIDs []string `json:"diff_ids"`
				} `json:"rootfs"`
			}
			if err := json.Unmarshal(want, &config); err != nil {
				t.Fatal(err)
			}
			s := newStore(t)
			images, err := Import(t.Context(), s, path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(images) != 1 {
				t.Errorf("images %+v", images)
			}
			img := images[0]
			if got, err := s.Blob(img.Config); err != nil || !bytes.Equal(got, want) {
				t.Errorf("config %s, %v, want %s", got, err, want)
			}
			checkLayers(t, s, img.ChainID, config.RootFS.DiffIDs)
			noStaging(t, s)
			for format, transport := range map[Format]string{OCI: "oci-archive:", DockerArchive: "docker-archive:"} {
				out := saved(t, s, format, img.Name)
				if got := skopeoConfig(t, transport+out); !bytes.Equal(got, want) {
					t.Errorf("skopeo reads the config %s from %s, want %s", got, format, want)
				}
				run(t, nil, "skopeo", "copy", "--insecure-policy", transport+out, "dir:"+t.TempDir())
				again := newStore(t)
				copies, err := Import(t.Context(), again, out, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if copies[0].Name != img.Name || copies[0].ChainID != img.ChainID || copies[0].Config != img.Config {
					t.Errorf("%s and back: %+v, want %+v", format, copies[0], img)
				}
			}
		})
	}
	if tested == 0 {
		t.Errorf("no image in %s", dir)
	}
}
