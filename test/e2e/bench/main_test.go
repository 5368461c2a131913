package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asProgram in the environment makes the test binary the program.
const asProgram = "LAYERFS_BENCH_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" || (len(os.Args) > 1 && os.Args[1] == overlayHelper) {
		main()
	}
	os.Exit(m.Run())
}

// programFor starts the benchmark as the present user, or as root as another one ("" = present). dir is where
// it makes its files.
func programFor(t *testing.T, name string, args ...string) (cmd *exec.Cmd, dir string) {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("needs /dev/fuse")
	}
	// Not t.TempDir(): a plain user could not enter it, and podman wants short names.
	dir, err := os.MkdirTemp("/tmp", "b") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(dir, 0o755))
	self, layerfs := filepath.Join(dir, "bench"), filepath.Join(dir, "layerfs")
	own, err := os.Executable()
	must(err)
	must(copyProgram(self, own))
	if built := os.Getenv("LAYERFS_BIN"); built != "" {
		must(copyProgram(layerfs, built))
	} else {
		out, err := exec.Command("go", "build", "-buildvcs=false", "-o", layerfs, "../../../cmd/layerfs").CombinedOutput()
		if err != nil {
			t.Fatalf("build layerfs: %v: %s", err, out)
		}
	}
	cmd = exec.Command(self, append([]string{"-tiny", "-dir", dir, "-layerfs", layerfs, "-json", filepath.Join(dir, "json")}, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Dir = "/"
	if name != "" {
		u, err := user.Lookup(name)
		must(err)
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		must(err)
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		must(err)
		must(os.Chown(dir, int(uid), int(gid)))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	return cmd, dir
}

func copyProgram(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// TestTiny runs every contest on tiny inputs.
func TestTiny(t *testing.T) {
	users := []string{""}
	if other := os.Getenv("LAYERFS_E2E_USER"); other != "" && os.Geteuid() == 0 {
		users = append(users, other)
	}
	for _, name := range users {
		t.Run("as "+name, func(t *testing.T) {
			t.Parallel()
			cmd, dir := programFor(t, name)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			text, err := os.ReadFile(filepath.Join(dir, "json"))
			if err != nil {
				t.Fatal(err)
			}
			var r report
			if err := json.Unmarshal(text, &r); err != nil {
				t.Fatal(err)
			}
			tables := make(map[string]bool)
			for _, row := range r.Rows {
				tables[row.Table] = true
				if len(row.Cells) == 0 || row.Cells[0].Side != us {
					t.Errorf("%s: %s has no layerfs first: %+v", row.Table, row.Work, row.Cells)
				}
				for _, c := range row.Cells {
					if c.Value <= 0 {
						t.Errorf("%s: %s: %s took %v %s", row.Table, row.Work, c.Side, c.Value, row.Unit)
					}
				}
			}
			if len(tables) != 7 {
				t.Errorf("tables %v, want 7", sortedKeys(tables))
			}
			nothingLeft(t, dir)
			for _, note := range r.Notes {
				t.Log(note)
			}
		})
	}
}

// TestInterrupt stops a run in the middle, with mounts alive.
func TestInterrupt(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(fmt.Sprint(sig), func(t *testing.T) {
			t.Parallel()
			cmd, dir := programFor(t, "", "-run", "find|tar c|random", "-rounds", "1000", "-budget", "10m")
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			lines := bufio.NewScanner(io.TeeReader(stderr, &said))
			for lines.Scan() && !strings.Contains(lines.Text(), "input debian") {
			}
			// The input is made; wait until it is mounted.
			for range 3000 {
				if len(mountsBelow(dir)) > 0 {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			if len(mountsBelow(dir)) == 0 {
				t.Error("nothing was mounted in half a minute")
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			for lines.Scan() {
			}
			err = cmd.Wait()
			if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), "interrupted") {
				t.Errorf("ended with %v and said %s", err, said.String())
			}
			nothingLeft(t, dir)
		})
	}
}

// nothingLeft looks for files, mounts and processes of a run in dir.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains([]string{"bench", "layerfs", "json"}, e.Name()) {
			t.Errorf("%s is left", e.Name())
		}
	}
	if left := mountsBelow(dir); len(left) > 0 {
		t.Errorf("still mounted: %v", left)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range lines {
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(dir+"/layerfs-bench-")) {
			t.Errorf("still running: %s: %q", file, text)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		in   []float64
		want float64
		ok   bool
	}{
		{nil, 0, false}, {[]float64{3}, 3, true}, {[]float64{9, 1, 2}, 2, true}, {[]float64{4, 1, 2, 100}, 3, true},
	} {
		if got, ok := median(test.in); got != test.want || ok != test.ok {
			t.Errorf("median(%v) = %v, %v, want %v, %v", test.in, got, ok, test.want, test.ok)
		}
	}
}

// Ratios are taken within a round: here the load doubles from each round to the next.
func TestRatio(t *testing.T) {
	o := &outcome{contest: &contest{unit: seconds}, samples: make(map[key][]sample)}
	for _, load := range []float64{1, 2, 4} {
		o.add(us, []pass{{"", sample{Seconds: load}}})
		o.add(fuseOverlay, []pass{{"", sample{Seconds: 4 * load}}})
	}
	if got, ok := o.ratio(seconds.of, "", us, fuseOverlay); got != 0.25 || !ok {
		t.Errorf("ratio %v, %v, want 0.25", got, ok)
	}
	if _, ok := o.ratio(seconds.of, "", us, bareFiles); ok {
		t.Error("there is a ratio to a side that did not take part")
	}
}

func TestOrder(t *testing.T) {
	for n := 1; n <= 4; n++ {
		first := make(map[int]int)
		for round := range 2 * n {
			places := order(n, round)
			first[places[0]]++
			if sorted := slices.Sorted(slices.Values(places)); len(slices.Compact(sorted)) != n || sorted[n-1] != n-1 {
				t.Errorf("order(%d, %d) = %v: not everyone once", n, round, places)
			}
		}
		for who, times := range first {
			if len(first) != n || times != 2 {
				t.Errorf("of %d, %d begins %d of %d times: %v", n, who, times, 2*n, first)
			}
		}
	}
}

func TestDifferentWorkIsVoid(t *testing.T) {
	o := &outcome{contest: &contest{}, sides: []string{us, bareFiles}, samples: make(map[key][]sample)}
	o.add(us, []pass{{"cold", sample{Count: 7}}})
	o.add(bareFiles, []pass{{"cold", sample{Count: 7}}})
	if err := o.sameCount(); err != nil {
		t.Error(err)
	}
	o.add(us, []pass{{"cold", sample{Count: 8}}})
	if o.sameCount() == nil {
		t.Error("layerfs has found one more, and nobody minds")
	}
}

func TestParseStat(t *testing.T) {
	const line = "42 (a) R b) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 1 0 99 1000 10"
	if got, err := parseStat(line); got != 2 || err != nil {
		t.Errorf("parseStat = %v, %v, want 2 seconds", got, err)
	}
	if _, err := parseStat("42 (a) S 1"); err == nil {
		t.Error("a short line is no error")
	}
}
