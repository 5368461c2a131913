package store_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/layerfs/layerfs/store"
)

// Runs of zeros in large contents take no more room in the pool than GNU tar gives them when it extracts with -S, whether
// the tar that came was sparse or not; and the bytes are the same.
func TestHoles(t *testing.T) {
	if _, err := exec.LookPath("tar"); err != nil {
		t.Skip("GNU tar is missing")
	}
	const kiB, miB = 1 << 10, 1 << 20
	text := func(n int) string { return strings.Repeat("data, ", n/6+1)[:n] }
	type region struct {
		at   int64
		data string
	}
	for _, c := range []struct {
		name    string
		size    int64
		regions []region
	}{
		{"nothing", 40 * miB, nil},
		{"one byte at the end", 30 * miB, []region{{30*miB - 1, "x"}}},
		{"one byte at the beginning", 4*miB + 1, []region{{0, "x"}}},
		{"no zeros", miB, []region{{0, text(miB)}}},
		{"aligned", 16 * miB, []region{{4 * miB, text(2 * miB)}, {10 * miB, text(miB)}}},
		{"anywhere", 16*miB + 777, []region{{100, text(5000)}, {5*miB - 3, text(128*kiB + 7)}, {9*miB + 1000, text(miB)}}},
		{"at blocks", 8 * miB, []region{{256*kiB - 1, "x"}, {512 * kiB, "x"}, {3 * miB, text(256 * kiB)}}},
		{"short runs", 2 * miB, []region{{64*kiB - 512, "xy"}, {128 * kiB, "xy"}, {192*kiB - 1, "xy"}, {300 * kiB, text(kiB)}}},
	} {
		dir := tempDir(t)
		path := filepath.Join(dir, "file")
		whole := make([]byte, c.size)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range c.regions {
			copy(whole[r.at:], r.data)
			if _, err := f.WriteAt([]byte(r.data), r.at); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Truncate(c.size); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		for _, how := range []string{"--sparse-version=0.0", "--sparse-version=1.0", "--format=gnu", ""} {
			args := []string{"-cC", dir, how, "-S", "file"}
			if how == "" {
				args = []string{"-cC", dir, "file"}
			}
			layer, err := exec.Command("tar", args...).Output()
			if err != nil {
				t.Fatalf("%q: %v", args, err)
			}
			s := openStore(t, filepath.Join(tempDir(t), "store"))
			chain := register(t, s, "", layer)
			wantTar(t, s, chain.ID, layer)
			kept := filepath.Join(s.Root(), "content", contentOf(t, s))
			if got, err := os.ReadFile(kept); err != nil || !bytes.Equal(got, whole) {
				t.Errorf("%s, %q: other bytes, %v", c.name, how, err)
			}
			// Pieces of 64 KiB are a hole or none, so each region may take two of them more.
			most := extracted(t, layer) + int64(len(c.regions))*2*64*kiB
			if got := onDisk(t, kept); got > most {
				t.Errorf("%s, %q: %d bytes of disk, want %d at most", c.name, how, got, most)
			}
			for _, p := range problems(t, s) {
				t.Errorf("%s, %q: check: %v", c.name, how, p)
			}
			s.Close()
		}
	}
}

// extracted is what the one file of a layer takes when GNU tar extracts it, made sparse by cp if the archive is not.
func extracted(t *testing.T, layer []byte) int64 {
	t.Helper()
	dir := tempDir(t)
	x := exec.Command("sh", "-c", `tar -xSC "$1" && cp --sparse=always "$1/file" "$1/sparse"`, "", dir)
	x.Stdin = bytes.NewReader(layer)
	if out, err := x.CombinedOutput(); err != nil {
		t.Fatalf("extract: %v: %s", err, out)
	}
	return onDisk(t, filepath.Join(dir, "sparse"))
}

func onDisk(t *testing.T, path string) int64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

// contentOf is the name of the only large content.
func contentOf(t *testing.T, s *store.Store) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(s.Root(), "content", "??", "*"))
	if err != nil || len(found) != 1 {
		t.Fatal(fmt.Sprint(found), err)
	}
	rel, err := filepath.Rel(filepath.Join(s.Root(), "content"), found[0])
	if err != nil {
		t.Fatal(err)
	}
	return rel
}
