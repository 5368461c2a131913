package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The bounds are what `find -printf %s` shows of npm's own dependencies: half of the files up to 1.9 KB, a tenth over 14 KB,
// 6.6 KB on average, 4.3 files to a folder, a quarter of the size with gzip.
func TestNodeModulesAreLikeNpms(t *testing.T) {
	files := nodeModules("app", 100_000)
	if len(files) < 90_000 {
		t.Errorf("%d files of 100,000", len(files))
	}
	var sizes []int64
	dirs, names := make(map[string]bool), make(map[string]bool)
	for _, f := range files {
		if names[f.path] {
			t.Fatalf("%s is there twice", f.path)
		}
		names[f.path] = true
		dirs[path.Dir(f.path)] = true
		sizes = append(sizes, f.size)
	}
	slices.Sort(sizes)
	within := func(what string, got, least, most float64) {
		t.Helper()
		if got < least || got > most {
			t.Errorf("%s: %.1f, want %.1f to %.1f", what, got, least, most)
		}
	}
	n := len(sizes)
	within("median", float64(sizes[n/2]), 1500, 2500)
	within("tenth below", float64(sizes[n/10]), 200, 500)
	within("tenth above", float64(sizes[n-n/10]), 9000, 16000)
	within("mean", float64(sum(sizes))/float64(n), 5000, 8000)
	within("files to a folder", float64(n)/float64(len(dirs)), 3, 6)

	var plain, packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if err := errors.Join(writeTar(io.MultiWriter(&plain, z), files[:2000], built), z.Close()); err != nil {
		t.Fatal(err)
	}
	within("percent with gzip", 100*float64(packed.Len())/float64(plain.Len()), 20, 35)
}

// A layer that removes apt's lists has whiteouts for those that an earlier one has left, and dpkg's tables are in every
// layer that installs something, longer each time.
func TestDockerfile(t *testing.T) {
	host := map[string][]file{"usr/lib/python3/x": nil, "usr/share": nil}
	for dir := range host {
		for i := range 600 {
			host[dir] = append(host[dir], textFile(path.Join(dir, string(rune('a'+i%26)), string(rune('a'+i/26))), 100))
		}
	}
	layers := dockerfile(host, pythonStages, 1000, 1<<20)
	left := make(map[string]bool)
	hidden, written, whole := 0, int64(0), 0
	for i, layer := range layers {
		var out bytes.Buffer
		if err := writeTar(&out, layer, built); err != nil {
			t.Fatal(err)
		}
		for r := tar.NewReader(&out); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(h.Name, "usr/") && h.Typeflag == tar.TypeReg {
				whole++
			}
			switch name, isWhiteout := strings.CutPrefix(path.Base(h.Name), whiteout); {
			case isWhiteout:
				hidden++
				if !left[path.Join(path.Dir(h.Name), name)] {
					t.Errorf("layer %d: %s hides nothing", i, h.Name)
				}
			case h.Name == "var/lib/dpkg/status":
				if h.Size <= written {
					t.Errorf("layer %d: status of %d bytes after one of %d", i, h.Size, written)
				}
				written = h.Size
			}
			left[h.Name] = true
		}
	}
	if len(layers) != 10 || hidden != 3 || written == 0 || whole < 900 {
		t.Errorf("%d layers, %d whiteouts, a status of %d bytes, %d files of the host", len(layers), hidden, written, whole)
	}
}

func TestOnlyNew(t *testing.T) {
	elder := holdings{Contents: 50 << 20, Records: 4 << 20}
	for _, test := range []struct {
		grown holdings
		ok    bool
	}{
		{holdings{Contents: 1 << 20, Records: 4 << 20}, true},
		{holdings{Contents: 50 << 20, Records: 4 << 20}, false},
		{holdings{Contents: 1 << 20, Records: 9 << 20}, false},
		{holdings{Contents: 1 << 20, Records: 4 << 20, Litter: 50 << 20}, false},
	} {
		if err := test.grown.onlyNew([]int64{1 << 20}, elder); (err == nil) != test.ok {
			t.Errorf("%+v: %v", test.grown, err)
		}
	}
}

func TestRemoveAll(t *testing.T) {
	tree := filepath.Join(t.TempDir(), "tree")
	for _, dir := range []string{"a/b", "c"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o700); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			if err := os.WriteFile(filepath.Join(tree, dir, strconv.Itoa(i)), nil, 0o400); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, dir := range []string{"a/b", "a"} {
		if err := os.Chmod(filepath.Join(tree, dir), 0); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time there is nothing
		if err := removeAll(tree); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(tree); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the tree is still there: %v", err)
		}
	}
}

func TestJudge(t *testing.T) {
	o := &outcome{contest: &contest{unit: seconds}, samples: make(map[key][]sample)}
	o.add(us, []pass{{"", sample{Seconds: 1, CPU: 2, Peak: 100 << 20}}, {"short", sample{Seconds: 1}}})
	o.add(us, []pass{{"", sample{Seconds: 1, CPU: 2, Peak: 130 << 20}}})
	o.add(podmanLoad, []pass{{"", sample{Seconds: 5, CPU: 8, Peak: 1}}})
	for _, test := range []struct {
		goal goal
		want float64
		met  bool
	}{
		{faster("", podmanLoad, 0.25), 0.2, true},
		{goal{"", podmanLoad, cpu, 0.2}, 0.25, false},
		{goal{"", us, peak, 128}, 130, false}, // in one round of two is too much
	} {
		if v, ok := o.judge(test.goal); !ok || v.Reached != test.want || v.met() != test.met {
			t.Errorf("%+v: %+v, %v", test.goal, v, ok)
		}
	}
	for _, g := range []goal{faster("", umociUnpack, 1), {"short", us, peak, 1}} {
		if v, ok := o.judge(g); ok {
			t.Errorf("%+v is judged: %+v", g, v)
		}
	}
}
