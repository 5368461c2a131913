package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a layer's tree leaves out is told on standard error, and by inspect.
func TestWarnings(t *testing.T) {
	dir, layer := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "layer.tar")
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	names := []string{"f", "../evil", ".wh."}
	for i := range 10 {
		names = append(names, fmt.Sprintf("a/../b%d", i))
	}
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(layer, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := layerfs(t, dir, "register", layer)
	lines := strings.Split(strings.TrimSpace(errs), "\n")
	if code != 0 || len(lines) != 11 {
		t.Fatalf("code %d, %d lines: %s", code, len(lines), errs)
	}
	chain := strings.TrimSpace(out) // of a base, so it is the DiffID, too
	for i, want := range map[int]string{
		0:  `entry 2, "../evil", has a component ".."; it is left out`,
		1:  `entry 3, ".wh.", is a whiteout of the impossible name ""; it is left out`,
		10: "and 2 more; `layerfs inspect` has them",
	} {
		if want := "layerfs: warning: layer " + chain + ": " + want; lines[i] != want {
			t.Errorf("got\n\t%s\nwant\n\t%s", lines[i], want)
		}
	}
	if code, out, _ := layerfs(t, dir, "inspect", chain); code != 0 || strings.Count(out, `has a component`) != 11 {
		t.Errorf("inspect: code %d, %s", code, out)
	}
}
