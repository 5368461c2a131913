package unionfs

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/layerfs/layerfs/tarindex"
)

const (
	killEnv = "LAYERFS_TEST_KILL" // in a child: seed, directory of the union
	killOps = 80
)

// TestKilledAtRandom kills processes that run random operations, and looks at
// what they leave behind: the tree before the operation that was under way, or
// after it. (TestKilledAnywhere stops single operations at every step.)
func TestKilledAtRandom(t *testing.T) {
	if s := os.Getenv(killEnv); s != "" {
		if err := killChild(s); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	rounds := 24
	if os.Getenv("LAYERFS_MODEL") != "" {
		rounds = 1000
	}
	first := uint64(time.Now().UnixNano()) % 1_000_000_000
	for seed := first; seed < first+uint64(rounds) && !t.Failed(); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { testKilled(t, seed) })
	}
}

func testKilled(t *testing.T, seed uint64) {
	top := t.TempDir()
	p := pool{filepath.Join(top, "content")}
	quiet, loud := filepath.Join(top, "quiet"), filepath.Join(top, "killed")
	for _, d := range []string{p.dir, quiet, loud} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	g := killGenerator(seed)
	index := makeIndex(t, p, g.model.entries())
	if err := os.WriteFile(filepath.Join(top, "index"), index, 0o600); err != nil {
		t.Fatal(err)
	}
	lower, err := tarindex.Parse(index)
	if err != nil {
		t.Fatal(err)
	}
	// What should be seen after each operation.
	number(g.model, lower)
	r, err := newRunner(quiet, lower, p, g.model, int(seed%3))
	if err != nil {
		t.Fatal(err)
	}
	views, ops := []view{g.model.view().forCrash()}, []op{{}}
	for range killOps {
		o := g.next()
		if err := r.step(o); err != nil {
			t.Fatalf("%v: %v", o, err)
		}
		views, ops = append(views, g.model.view().forCrash()), append(ops, o)
	}
	r.Close()

	done := killAfter(t, seed, top)
	o := Options{Lower: lower, Open: p.open, Upper: filepath.Join(loud, "upper"), Work: filepath.Join(loud, "work")}
	f, err := New(o)
	if err != nil {
		t.Fatalf("killed after %d operations, it cannot be opened: %v", done, err)
	}
	defer func() { f.Close() }()
	if left, err := os.ReadDir(o.Work); err != nil || len(left) > 0 {
		t.Errorf("left in the work directory: %v, %v", left, err)
	}
	got, err := viewUnion(f)
	if err != nil {
		t.Fatal(err)
	}
	next := min(done+1, killOps)
	if err := between(views[done], views[next], got.forCrash()); err != nil {
		t.Errorf("killed after %d operations, at %v:\n%v", done, ops[next], err)
	}
	if _, err := checkDiff(f, p); err != nil && !errors.Is(err, tarindex.ErrSocket) {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err = New(o); err != nil {
		t.Fatal(err)
	}
	again, err := viewUnion(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := differences("first", got, "second", again); err != nil {
		t.Errorf("opened a second time: %v", err)
	}
}

// killGenerator makes the operations of a seed: single ones, for what is seen
// of several would be neither before nor after.
func killGenerator(seed uint64) *killable {
	g := newGenerator(seed)
	g.model = g.lower(5 + g.IntN(60))
	return &killable{g}
}

type killable struct{ *generator }

func (g *killable) next() op {
	for {
		if o := g.generator.next(); o.kind != "rmtree" {
			return o
		}
	}
}

// killChild runs the operations, and writes a byte after each of them.
func killChild(s string) error {
	n, top, _ := strings.Cut(s, " ")
	seed, err := strconv.ParseUint(n, 10, 64)
	if err != nil {
		return err
	}
	lower, err := tarindex.Open(filepath.Join(top, "index"))
	if err != nil {
		return err
	}
	g := killGenerator(seed)
	number(g.model, lower)
	r, err := newRunner(filepath.Join(top, "killed"), lower, pool{filepath.Join(top, "content")}, g.model, int(seed%3))
	if err != nil {
		return err
	}
	for i := -1; i < killOps; i++ {
		if i >= 0 {
			if err := r.step(g.next()); err != nil {
				return err
			}
		}
		if _, err := os.Stdout.Write([]byte{'.'}); err != nil {
			return err
		}
	}
	select {} // until killed
}

// killAfter runs a child, kills it at some time, and returns how many
// operations it has reported as done.
func killAfter(t *testing.T, seed uint64, top string) int {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestKilledAtRandom$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", killEnv, seed, top))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	done := -1 // the first byte says that it has begun
	for want := rand.IntN(killOps); done < want; done++ {
		if _, err := r.ReadByte(); err != nil {
			cmd.Wait()
			t.Fatalf("the child has ended after %d operations: %s", done, stderr.String())
		}
	}
	for wait := time.Now().Add(time.Duration(rand.IntN(400)) * time.Microsecond); time.Now().Before(wait); {
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := r.ReadByte(); err != nil {
			break
		}
		done++
	}
	cmd.Wait() // its error is the kill
	return done
}

// now stands for all times that the clock gave.
var now = Time{Sec: 1 << 40}

// forCrash makes the views of two unions comparable: one has other backing
// inodes and other times of the day than the other.
func (v view) forCrash() view {
	w := maps.Clone(v)
	for p, g := range w {
		if g.Mtime.Sec > 1_750_000_000 {
			g.Mtime = now
		}
		if g.Ino >= upperIDs {
			g.Ino = 0
		}
		w[p] = g
	}
	return w
}

// between checks that got is before or after an operation. What one operation
// changes of the attributes and the data of one file are several steps; and
// copy-up sets the times of a directory back when it is done.
func between(before, after, got view) error {
	paths := slices.Sorted(maps.Keys(got))
	if !slices.Equal(paths, slices.Sorted(maps.Keys(before))) && !slices.Equal(paths, slices.Sorted(maps.Keys(after))) {
		return errors.Join(differences("before", before, "killed", got), differences("after", after, "killed", got))
	}
	for p, g := range got {
		b, a := before[p], after[p]
		if g.isDir() && g.Mtime == now {
			b.Mtime, a.Mtime = now, now
		}
		mixed := b.Ino == a.Ino && oneOf(g.Mode, b.Mode, a.Mode) && oneOf(g.UID, b.UID, a.UID) && oneOf(g.GID, b.GID, a.GID) &&
			oneOf(g.Size, b.Size, a.Size) && oneOf(g.Mtime, b.Mtime, a.Mtime) && oneOf(g.Xattrs, b.Xattrs, a.Xattrs) &&
			oneOf(g.Data, b.Data, a.Data) && oneOf(g.Names, b.Names, a.Names) && oneOf(g.Nlink, b.Nlink, a.Nlink) && g.Ino == b.Ino
		if g != b && g != a && !mixed {
			return fmt.Errorf("%s:\n  before %+v\n  after  %+v\n  killed %+v", p, b, a, g)
		}
	}
	return nil
}

func oneOf[T comparable](got, a, b T) bool { return got == a || got == b }
