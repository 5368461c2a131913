package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// timed runs layerfs and logs how long it took and how much memory it needed at most.
func (b *box) timed(args ...string) string {
	b.t.Helper()
	cmd := b.command("layerfs", args...)
	start := time.Now()
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatalf("layerfs %s: %v", strings.Join(args, " "), err)
	}
	took := time.Since(start)
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	b.t.Logf("layerfs %s: %.2f s, %d MB at most", args[0], took.Seconds(), usage.Maxrss/1024)
	return strings.TrimSuffix(string(out), "\n")
}

// daemonMemory logs what the process behind a mount holds.
func (b *box) daemonMemory() {
	b.t.Helper()
	for pid, name := range processes(b.tag) {
		status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
		if err != nil {
			b.t.Fatal(err)
		}
		peak := regexp.MustCompile(`VmHWM:\s*(\d+)`).FindSubmatch(status)
		if peak == nil {
			continue
		}
		kb, _ := strconv.Atoi(string(peak[1]))
		b.t.Logf("mount process %d (%s): %d MB at most", pid, strings.Fields(name)[0], kb/1024)
	}
}

// TestManyLayers mounts 120 layers and works in the mount.
func TestManyLayers(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	im := readImage(b, filepath.Join(world.fixtures, "deep.tar"))[0]
	if len(im.layers) != 120 {
		t.Fatalf("%d layers", len(im.layers))
	}
	ref := b.timed("import", im.src)
	at := b.mount("deep", ref)
	sameTree(t, "120 layers", b.walk(at), b.oracle(im.layers...))
	imageLayers(b, im, ref)
	b.sh(`cd "$1"
		test "$(cat edited)" = 119
		echo work >> f118; rm f116; mv d e; echo x > e/new; ln f110 e/link`, at)
	tree := b.walk(at)
	b.daemonMemory()
	b.umount("deep")
	start := time.Now()
	at = b.mount("next", b.layerfs("commit", "deep"))
	t.Logf("commit and mount of 121 layers: %.2f s", time.Since(start).Seconds())
	sameTree(t, "121 layers", b.walk(at), tree)
	b.umount("next")
	b.healthy()
}

// TestManyFiles imports and mounts a base of 32,000 small files in 1,600 directories.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.sh(`python3 -c '
import sys
sys.path.insert(0, sys.argv[1])
import make
layer = make.Layer().dir("./")
for d in range(1600):
    layer.dir(f"d{d % 40}/s{d}" if d >= 40 else f"d{d}")
    for f in range(20):
        layer.file((f"d{d % 40}/s{d}" if d >= 40 else f"d{d}") + f"/file{f}", f"content {d} {f}\n" * (f % 5), mtime=f"{1500000000 + d}.{f:09}")
with open("many.tar", "wb") as out:
    out.write(layer.bytes())
make.docker_archive("many-image.tar", [(["many:1"], [open("many.tar", "rb").read()])])
' "$PY"`)
	ref := b.timed("import", "many-image.tar")
	b.timed("import", "many-image.tar")
	want := b.oracle(b.path("many.tar"))
	start := time.Now()
	at := b.mount("many", ref)
	t.Logf("first mount: %.2f s", time.Since(start).Seconds())
	start = time.Now()
	if got := strings.TrimSpace(b.sh(`find "$1" | wc -l`, at)); got != strconv.Itoa(len(lines(want))) {
		t.Errorf("find found %s names, want %d", got, len(lines(want)))
	}
	t.Logf("find: %.2f s", time.Since(start).Seconds())
	sameTree(t, "many files", b.walk(at), want)
	b.daemonMemory()
	b.sh(`cd "$1"; rm -rf d0; mv d1 moved; echo x >> d2/file1; chmod -R go-r d3`, at)
	tree := b.walk(at)
	b.umount("many")
	b.mount("many", ref)
	sameTree(t, "many files, mounted again", b.walk(at), tree)
	b.umount("many")
	b.timed("commit", "many")
	b.timed("export", ref)
	b.timed("check")
	b.healthy()
}
