package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScript runs the scripts of testdata/script, each with a store of its own. Beside testscript's
// own commands they have
//
//	exits CODE COMMAND...  runs a command, which must end with this exit code
//	healthy                asks for a clean check and empty staging and trash
//	unmounted DIR          nothing may be mounted there
//
// the condition [root], and in the environment FIX (fixtures), PY (testdata/py) and MNT (an empty folder).
func TestScript(t *testing.T) {
	dir := filepath.Join(world.tmp, "scripts")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:         world.scripts,
		WorkdirRoot: dir,
		Setup: func(env *testscript.Env) error {
			// No test to fail at the end: leftovers of a script are removed in silence, and
			// the scripts say themselves what must be gone.
			b := &box{dir: env.WorkDir}
			b.outfit(filepath.Join(env.WorkDir, "store"))
			env.Vars = append(env.Vars, b.env...)
			env.Setenv("MNT", filepath.Join(env.WorkDir, "mnt"))
			env.Defer(func() {
				for pid := range processes(b.tag) {
					killAndWait(pid)
				}
				unmountBelow(env.WorkDir)
				_ = exec.Command("chmod", "-R", "u+rwX", env.WorkDir).Run()
				_ = os.RemoveAll(env.WorkDir)
			})
			for _, d := range []string{"home", "tmp", "mnt"} {
				if err := os.Mkdir(filepath.Join(env.WorkDir, d), 0o755); err != nil {
					return err
				}
			}
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return asRoot(), nil
			}
			return false, errors.New("unknown condition")
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"healthy":   healthy,
			"unmounted": unmounted,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func healthy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: healthy")
	}
	ts.Check(ts.Exec("layerfs", "check"))
	for _, dir := range []string{"staging", "trash"} {
		entries, err := os.ReadDir(filepath.Join(ts.Getenv("LAYERFS_ROOT"), dir))
		ts.Check(err)
		for _, e := range entries {
			ts.Fatalf("left in the store: %s/%s", dir, e.Name())
		}
	}
}

func unmounted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: unmounted DIR")
	}
	if dir := ts.MkAbs(args[0]); mounted(dir) {
		ts.Fatalf("%s is mounted", dir)
	}
}
