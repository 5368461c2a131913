package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// smallSize is what the small file systems hold.
const smallSize = "64M"

// smallDir is where the process that runs this has its small file system.
func smallDir(base string, root bool) string {
	if root {
		return filepath.Join(base, "small-root")
	}
	return filepath.Join(base, "small-user")
}

// smallFileSystems mounts, as root, one small file system for each user: ext4 on a loop
// device, or a tmpfs where there is none. A plain user alone cannot have one.
func smallFileSystems(base string, who *user.User) error {
	for _, root := range []bool{true, false} {
		dir := smallDir(base, root)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		script := `truncate -s ` + smallSize + ` "$1.img" && mkfs.ext4 -q -m 0 "$1.img" && mount -o loop "$1.img" "$1" 2>/dev/null ||
			mount -t tmpfs -o size=` + smallSize + ` layerfs-e2e "$1"`
		cmd := exec.Command("sh", "-c", script, "sh", dir)
		cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
		if out, err := cmd.CombinedOutput(); err != nil {
			return errors.Join(fmt.Errorf("mount a small file system on %s: %w\n%s", dir, err, out), os.Remove(dir))
		}
		if !root {
			uid, gid := ids(who)
			if err := os.Chown(dir, uid, gid); err != nil {
				return err
			}
		}
	}
	return nil
}

// smallBox is a box whose store is on this user's small file system.
func smallBox(t *testing.T) *box {
	t.Helper()
	dir := smallDir(world.base, asRoot())
	if !mounted(dir) {
		t.Skip("needs a small file system, which only a run started by root can mount")
	}
	b := newBox(t)
	b.outfit(filepath.Join(dir, "store"))
	t.Cleanup(func() {
		if err := os.RemoveAll(b.store); err != nil {
			t.Error(err)
		}
	})
	return b
}

// TestDiskFull fills the disk under an import and under a copy-up.
func TestDiskFull(t *testing.T) {
	b := smallBox(t)
	before := b.sh(`printf 'seed %s' "$1" > seed; tar -cf seed.tar seed; layerfs register seed.tar`, t.Name())

	// Three layers: the first fits, all together do not.
	b.sh(`python3 -c '
import os, sys
sys.path.insert(0, sys.argv[1])
import make
layers = [make.Layer().file(f"f{i}", os.urandom(25 << 20)).bytes() for i in range(3)]
make.docker_archive("big.tar", [(["big:1"], layers)])
open("big-layer.tar", "wb").write(make.Layer().dir("./").file("big", os.urandom(20 << 20)).file("small", b"before").bytes())
' "$PY"`)
	for _, src := range []string{"big.tar", "-"} {
		r := b.exec("sh", "-c", `exec layerfs import "$1" < big.tar`, "sh", src)
		if r.code != 1 || !strings.Contains(r.err, "no space left on device") {
			t.Errorf("want exit code 1 and a word about space: %v", r)
		}
		b.tidy()
		if names := b.layerfs("images", "-q"); names != "" {
			t.Errorf("a failed import has left the image %s", names)
		}
		b.layerfs("check")
	}
	// What was there still is, and the space comes back.
	b.sh(`layerfs export "$1" > out.tar; cmp out.tar seed.tar`, strings.TrimSpace(before))
	b.layerfs("gc")
	if left := b.sh(`find "$LAYERFS_ROOT"/content "$LAYERFS_ROOT"/packs -type f | wc -l`); strings.TrimSpace(left) != "0" {
		t.Errorf("contents left after gc of a store with nothing in it: %s", left)
	}

	// Copy-up: there is room for all but a copy of the lower file.
	chain := b.layerfs("register", "big-layer.tar")
	at := b.mount("full", chain)
	b.sh(`free=$(df -k --output=avail "$LAYERFS_ROOT" | tail -n 1); fallocate -l $((free - 5000))k "$LAYERFS_ROOT"/filler`)
	want := b.sh(`sha256sum < "$1"/big`, at)
	r := b.exec("dd", "if=/dev/zero", "of="+at+"/big", "bs=1", "count=1", "conv=notrunc")
	if r.code == 0 || !strings.Contains(r.err, "No space left on device") {
		t.Errorf("a copy-up on a full disk: %v", r)
	}
	if got := b.sh(`sha256sum < "$1"/big`, at); got != want {
		t.Errorf("a failed copy-up has changed the file: %s, was %s", got, want)
	}
	// The mount lives, names and deletions still work, and with space so does the copy-up.
	b.sh(`cd "$1"; test "$(cat small)" = before; mv small small2; rm small2`, at)
	if left := strings.TrimSpace(b.sh(`find "$LAYERFS_ROOT"/rw/full/work -mindepth 2 | wc -l`)); left != "0" {
		t.Errorf("%s files left in work/ after a failed copy-up", left)
	}
	b.sh(`rm "$LAYERFS_ROOT"/filler; echo more >> "$1"/big; tail -c 5 "$1"/big | grep -q more`, at)
	b.umount("full")
	if got := b.layerfs("changes", "full"); got != "C /big\nD /small" && got != "C /\nC /big\nD /small" {
		t.Errorf("changes after a full disk:\n%s", got)
	}
	b.healthy()
}

// TestQuota runs into a quota, which says EDQUOT where a full disk says ENOSPC.
func TestQuota(t *testing.T) {
	if !asRoot() {
		t.Skip("needs root to set a quota up")
	}
	need(t, "mkfs.btrfs", "btrfs")
	b := newBox(t)
	r := b.exec("sh", "-euc", `mkdir q; truncate -s 256M q.img; mkfs.btrfs -q q.img; mount -o loop q.img q
		btrfs quota enable q; btrfs subvolume create q/s; btrfs qgroup limit 20M q/s`)
	if r.code != 0 {
		t.Skipf("needs btrfs with quotas and a loop device: %s", r.err)
	}
	b.outfit(b.path("q", "s", "store"))
	b.sh(`head -c 40000000 /dev/urandom > big; tar -cf big.tar big`)
	b.refused(1, []string{"quota"}, "register", "big.tar")
	b.healthy()
	b.sh(`umount q`)
}
