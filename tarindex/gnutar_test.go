package tarindex

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func run(t testing.TB, dir, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return out
}

func TestQuick(t *testing.T) {
	dir := t.TempDir()
	for i := range 300 {
		os.MkdirAll(filepath.Join(dir, fmt.Sprint("d", i%7)), 0o755)
		os.WriteFile(filepath.Join(dir, fmt.Sprint("d", i%7), fmt.Sprint("f", i)), make([]byte, i*i*11), 0o644)
	}
	for _, c := range []string{"", "z", "j", "J"} {
		s := roundTrip(t, run(t, dir, "tar", "-c"+c, "."))
		t.Log(s.Compression, s.Entries, s.Size, s.CompressedSize, len(s.rec), s.Warnings)
		x := mergeLayers(t, s.index)
		t.Log(x.Len())
	}
}
