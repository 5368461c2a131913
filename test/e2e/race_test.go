package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestRace lets eight workers import, mount, work, commit, tag, remove and collect garbage in one
// store at once. Each command either succeeds or says that something is not there any more (3)
// or held by another (4): nothing else may happen, and the store is whole at the end.
func TestRace(t *testing.T) {
	b := newBox(t)
	seconds := number(t, "LAYERFS_E2E_SECONDS", 15)
	if testing.Short() {
		seconds = 3
	}
	b.layerfs("import", filepath.Join(world.fixtures, "tiny-image.tar"))
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	var (
		group  sync.WaitGroup
		mutex  sync.Mutex
		counts = map[string]int{}
	)
	for w := range 8 {
		group.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), uint64(time.Now().UnixNano())))
			for n := 0; time.Now().Before(end); n++ {
				for _, outcome := range raceStep(b, r, w, n) {
					mutex.Lock()
					counts[outcome]++
					mutex.Unlock()
				}
			}
		})
	}
	group.Wait()
	t.Logf("outcomes: %v", counts)
	for _, command := range []string{"import", "mount", "umount", "commit", "rm", "rmi", "gc"} {
		if counts[command+" 0"] == 0 {
			t.Errorf("%s never succeeded in %d seconds", command, seconds)
		}
	}
	// Shared names that lost a race between mount and umount.
	for name, rw := range b.ps() {
		if rw.Status.State != "idle" {
			b.layerfs("umount", name)
		}
	}
	b.layerfs("gc")
	b.healthy()
}

// raceStep is one thing that one worker does. It returns "command code" for each command.
func raceStep(b *box, r *rand.Rand, worker, n int) []string {
	var outcomes []string
	// run is like b.layerfs, but for many goroutines at once and with conflicts allowed.
	run := func(args ...string) (string, int) {
		cmd := b.command("layerfs", args...)
		var out, errs strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &errs
		cmd.WaitDelay = 5 * time.Second
		err := cmd.Run()
		code := cmd.ProcessState.ExitCode()
		var exit *exec.ExitError
		if (err != nil && !errors.As(err, &exit)) || (code != 0 && code != 3 && code != 4) {
			b.t.Errorf("layerfs %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
		}
		outcomes = append(outcomes, fmt.Sprintf("%s %d", args[0], code))
		return strings.TrimSuffix(out.String(), "\n"), code
	}
	shared := fmt.Sprintf("shared%d", r.IntN(3))
	own := fmt.Sprintf("own%d-%d", worker, n)
	tag := fmt.Sprintf("race:%d", r.IntN(4))
	switch r.IntN(6) {
	case 0:
		run("import", filepath.Join(world.fixtures, "small.tar"))
	case 1:
		run("import", "--name", tag, filepath.Join(world.fixtures, "three.tar"))
	case 2: // its own RW layer, from mount to rm
		at := b.path("mnt-" + own)
		if err := os.Mkdir(at, 0o755); err != nil {
			b.t.Error(err)
			return outcomes
		}
		if _, code := run("mount", "--name", own, "tiny:1", at); code != 0 {
			return outcomes
		}
		// The bytes are the worker's own, so that commits differ.
		script := `cd "$1"; echo "$2" > new; echo "$2" >> d/f; mv d e; test "$(cat new)" = "$2"; test -f e/f`
		if out, err := b.command("sh", "-c", prelude+script, "sh", at, own).CombinedOutput(); err != nil {
			b.t.Errorf("work in %s: %v\n%s", own, err, out)
		}
		if _, code := run("umount", own); code != 0 {
			b.t.Errorf("umount of our own %s: exit code %d", own, code)
		}
		run("commit", own, "--tag", tag)
		if _, code := run("rm", own); code != 0 {
			b.t.Errorf("rm of our own %s: exit code %d", own, code)
		}
	case 3: // an RW layer that others want too
		at := b.path("mnt-" + shared + "-" + own)
		if err := os.Mkdir(at, 0o755); err != nil {
			b.t.Error(err)
			return outcomes
		}
		if _, code := run("mount", "--name", shared, "tiny:1", at); code == 0 {
			if out, err := b.command("sh", "-c", `echo "$2" >> "$1"/log`, "sh", at, own).CombinedOutput(); err != nil && mounted(at) {
				b.t.Errorf("write in %s: %v\n%s", shared, err, out)
			}
			run("umount", at)
		}
		run("changes", shared)
	case 4:
		run("rmi", tag)
		run("rm", shared)
	case 5:
		run("gc")
		run("images", "--json")
		run("layers", "--json")
		run("ps", "--json")
		run("df")
	}
	return outcomes
}
