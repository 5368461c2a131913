package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuilders takes images that other people's builders have made, kept in
// testdata/builders, through the same as TestImages.
func TestBuilders(t *testing.T) {
	dir := filepath.Join(world.base, "testdata", "builders")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	images := 0
	for _, e := range entries {
		// The folder also holds what they are made with.
		if match, _ := filepath.Match("*-*.tar*", e.Name()); !match {
			continue
		}
		images++
		t.Run(e.Name(), func(t *testing.T) {
			t.Parallel()
			var options []string
			if strings.Contains(e.Name(), "zstd-chunked") {
				// Its frames ask for a window of 32 MiB, however small they are; docs/semantics.md, "Limits".
				options = []string{"--limit", "window=32MiB"}
			}
			untouched(newBox(t), filepath.Join(dir, e.Name()), options...)
		})
	}
	if images == 0 {
		t.Errorf("no image in %s", dir)
	}
}
