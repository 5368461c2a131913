package e2e

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// kills is how often each kill test kills.
func kills(t *testing.T) int {
	n := number(t, "LAYERFS_E2E_KILLS", 10)
	if testing.Short() {
		return min(n, 3)
	}
	return n
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestKillImport kills imports at random moments, from the very start to about their end.
// What was in the store must stay whole, and gc must leave nothing of what was not finished.
func TestKillImport(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.layerfs("import", filepath.Join(world.fixtures, "small.tar"))
	b.layerfs("gc")
	settled := b.sh(`cd "$LAYERFS_ROOT"; find content layers chains images blobs -type f | sort`)
	b.sh(`python3 -c '
import os, sys
sys.path.insert(0, sys.argv[1])
import make
layers = []
for l in range(4):
    layer = make.Layer().dir("./")
    for f in range(150):
        layer.file(f"l{l}/f{f}", os.urandom(4000))
    layers.append(layer.file("big", os.urandom(3_000_000)).bytes())
make.docker_archive("victim.tar", [(["victim:1"], layers)])
' "$PY"`)
	im := readImage(b, b.path("victim.tar"))[0]

	start := time.Now()
	b.layerfs("import", "victim.tar")
	whole := time.Since(start)
	b.layerfs("rmi", "victim:1")
	b.layerfs("gc")
	finished := 0
	for i := range kills(t) {
		cmd := b.command("layerfs", "import", "victim.tar")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(whole) * 5 / 4)))
		_ = cmd.Process.Kill()
		if cmd.Wait() == nil {
			finished++
		}
		b.layerfs("check")
		names := b.layerfs("images", "-q")
		if got := b.sh(`layerfs export "$(layerfs inspect small:1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["chainID"])')" | wc -c`); strings.TrimSpace(got) == "0" {
			t.Fatal("small:1 cannot be exported any more")
		}
		if strings.Contains(b.layerfs("images"), "victim") {
			// Committed: then it is all there.
			for _, id := range im.chains() {
				b.layerfs("export", id)
			}
			b.layerfs("rmi", "victim:1")
		}
		b.layerfs("gc")
		b.tidy()
		b.layerfs("check")
		if now := b.sh(`cd "$LAYERFS_ROOT"; find content layers chains images blobs -type f | sort`); now != settled {
			t.Fatalf("kill %d: gc has left more or less than the one image (%s):\n%s\nwant\n%s", i, names, now, settled)
		}
	}
	t.Logf("%d kills of an import of %.2f s, %d of them too late", kills(t), whole.Seconds(), finished)
}

// rwLayer is what these tests read of `ps --json`.
type rwLayer struct {
	Name   string
	Status struct {
		State string // idle, mounted or dead
		Mount struct {
			PID    int
			Target string
		}
	}
}

func (b *box) ps() map[string]rwLayer {
	b.t.Helper()
	var all []rwLayer
	out := b.layerfs("ps", "--json")
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		b.t.Fatalf("ps --json: %v\n%s", err, out)
	}
	byName := map[string]rwLayer{}
	for _, rw := range all {
		byName[rw.Name] = rw
	}
	return byName
}

// TestKillMount kills the process behind a mount while a program writes into it. Files whose fsync
// had returned are there at the next mount, which clears the dead one.
func TestKillMount(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.layerfs("import", filepath.Join(world.fixtures, "small.tar"))
	im := readImage(b, filepath.Join(world.fixtures, "small.tar"))[0]
	lower := b.oracle(im.layers...)
	synced := 0
	for i := range kills(t) {
		at := b.mount("victim", "small:1")
		pid := b.ps()["victim"].Status.Mount.PID
		if pid == 0 {
			t.Fatalf("ps does not know the process of a mount: %v", b.ps())
		}
		progress := b.path("progress" + strconv.Itoa(i))
		writer := b.command("python3", filepath.Join(world.py, "writer.py"), at, strconv.Itoa(i), progress)
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		// Mostly while it writes, sometimes before it has begun.
		for n := 0; n < 100 && i%4 > 0 && !exists(progress); n++ {
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		killAndWait(pid)
		_ = writer.Wait() // ends with an error of the dead mount

		if status := b.ps()["victim"].Status.State; status != "dead" {
			t.Errorf("after the kill ps says %q", status)
		}
		// Alternate who finds the dead mount.
		switch i % 3 {
		case 0:
			b.layerfs("umount", "victim")
		case 1:
			b.layerfs("check")
		}
		at = b.mount("victim", "small:1")
		b.py("writer.py", "verify", at, strconv.Itoa(i), progress)
		data, err := os.ReadFile(progress)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // killed before the first file was safe
			t.Fatal(err)
		}
		synced += strings.Count(string(data), "\n")
		b.sh(`cd "$1"; rm -rf work-*; echo alive > alive; test "$(cat alive)" = alive; rm alive`, at)
		b.umount("victim")
		b.layerfs("check")
		b.layerfs("gc")
		b.tidy()
	}
	t.Logf("%d kills, %d files synced before them", kills(t), synced)
	at := b.mount("other", "small:1")
	sameTree(t, "the lower layers after all kills", b.walk(at), lower)
	b.umount("other")
	b.healthy()
}

// TestKillInterrupt ends an import and a mount by signals that can be caught: they clean up themselves.
func TestKillInterrupt(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.layerfs("import", filepath.Join(world.fixtures, "small.tar"))
	cmd := b.command("sh", "-c", `(cat "$FIX/three.tar" | head -c 500000; sleep 5) | exec layerfs import -`)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	for pid, name := range processes(b.tag) {
		if strings.Contains(name, "layerfs import") && !strings.HasPrefix(name, "sh ") {
			b.sh(`kill -INT "$1"`, strconv.Itoa(pid))
		}
	}
	if cmd.Wait() == nil {
		t.Error("an interrupted import ends with 0")
	}
	b.healthy()

	at := b.mount("sig", "small:1")
	b.sh(`echo kept > "$1"/kept; kill -TERM "$2"`, at, strconv.Itoa(b.ps()["sig"].Status.Mount.PID))
	for range 100 {
		if !mounted(at) && b.ps()["sig"].Status.State == "idle" {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if got := b.ps()["sig"].Status.State; got != "idle" {
		t.Errorf("after SIGTERM the mount is %s", got)
	}
	b.mount("sig", "small:1")
	b.sh(`test "$(cat "$1"/kept)" = kept`, at)
	b.umount("sig")
	b.healthy()
}
