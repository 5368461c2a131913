package main

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestProfile(t *testing.T) {
	dir, store := t.TempDir(), t.TempDir()
	t.Setenv(profileDir, dir)
	if code, _, errs := layerfs(t, store, "--root", store, "df", "--json"); code != 0 {
		t.Fatal(errs)
	}
	files, err := filepath.Glob(filepath.Join(dir, "df-*.pprof"))
	if err != nil || len(files) != 1 {
		t.Fatalf("profiles %v, %v, want one of df", files, err)
	}
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatalf("it is no profile: %v", err)
	}
	// The names of what is sampled are in its table of strings.
	if text, err := io.ReadAll(z); err != nil || !strings.Contains(string(text), "nanoseconds") {
		t.Errorf("it is no whole profile: %v, %d bytes", err, len(text))
	}
}

// A profile that cannot be written does not keep the command from its work.
func TestNoProfile(t *testing.T) {
	t.Setenv(profileDir, filepath.Join(t.TempDir(), "missing"))
	code, out, errs := layerfs(t, t.TempDir(), "df", "--json")
	if code != 0 || !strings.HasPrefix(out, "{") || !strings.Contains(errs, profileDir) {
		t.Errorf("exit code %d, out %q, said %q", code, out, errs)
	}
}
