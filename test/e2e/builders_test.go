package e2e

import (
	"os"
	"path/filepath"
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
			untouched(newBox(t), filepath.Join(dir, e.Name()))
		})
	}
	if images == 0 {
		t.Errorf("no image in %s", dir)
	}
}
