package unionfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/layerfs/layerfs/tarindex"
)

// TestModel runs random operations on unions and their models. With
// LAYERFS_MODEL=DURATION it goes on with new seeds for so long; with
// LAYERFS_MODEL_SEED=N it runs that one.
func TestModel(t *testing.T) {
	if s := os.Getenv("LAYERFS_MODEL_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		testModel(t, seed)
		return
	}
	seeds := []uint64{uint64(time.Now().UnixNano()) % 1_000_000_000}
	for seed := range uint64(24) {
		seeds = append(seeds, seed)
	}
	for _, seed := range seeds {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { testModel(t, seed) }) {
			return // one at a time
		}
	}
	s := os.Getenv("LAYERFS_MODEL")
	if s == "" {
		return
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(d); time.Now().Before(end) && !t.Failed(); {
		testModel(t, uint64(time.Now().UnixNano())%1_000_000_000)
	}
}

const modelOps = 300 // more of them find less, for soon nothing of the lower is left

func testModel(t *testing.T, seed uint64) {
	ops, err := runModel(t, seed, nil)
	if err == nil {
		return
	}
	// Find out what the failure needs.
	end := time.Now().Add(20 * time.Second)
	for size := len(ops) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(ops) && time.Now().Before(end); {
			fewer := append(append([]op{}, ops[:at]...), ops[at+size:]...)
			if _, e := runModel(t, seed, fewer); e != nil {
				ops, err = fewer, e
			} else {
				at += size
			}
		}
	}
	var list strings.Builder
	for _, o := range ops {
		fmt.Fprintf(&list, "  %v\n", o)
	}
	t.Errorf("seed %d: %v\nafter\n%s", seed, err, list.String())
}

// runModel runs the given operations, or those of the seed for nil, and returns
// which they were.
func runModel(t *testing.T, seed uint64, ops []op) (_ []op, err error) {
	top := t.TempDir()
	p := pool{filepath.Join(top, "content")}
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	g := newGenerator(seed)
	m := g.lower(5 + g.IntN(120))
	lower := makeLower(t, p, m.entries())
	number(m, lower)
	r, err := newRunner(top, lower, p, m, int(seed%3))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { r.FS.Close() }()
	if err := r.check(); err != nil {
		t.Fatalf("seed %d: the lower is not as the model: %v", seed, err)
	}
	g.model = m
	replay := ops
	ops = nil
	for i := 0; ; i++ {
		var o op
		switch {
		case replay == nil && i == modelOps, replay != nil && i == len(replay):
			if err := r.check(); err != nil {
				return ops, err
			}
			return ops, r.checkDiff(top)
		case replay != nil:
			o = replay[i]
		case i%19 == 18:
			o = op{kind: "check"}
		case g.IntN(50) == 0:
			o = op{kind: "remount"}
		case g.IntN(100) == 0:
			o = op{kind: "diff"}
		default:
			o = g.next()
		}
		ops = append(ops, o)
		switch o.kind {
		case "check":
			err = r.check()
		case "remount":
			err = r.remount()
		case "diff":
			err = r.checkDiff(top)
		default:
			err = r.step(o)
		}
		if err != nil {
			return ops, fmt.Errorf("%v: %w", o, err)
		}
	}
}

// number gives the inodes of a lower the numbers that they will have in its
// union.
func number(m *model, lower *tarindex.Index) {
	m.each(func(p string, n *mnode) {
		i := tarindex.Root
		for name := range strings.SplitSeq(strings.Trim(p, "/"), "/") {
			if name != "" {
				i, _ = lower.Lookup(i, name)
			}
		}
		n.ino = uint64(i) + 1
	})
}
