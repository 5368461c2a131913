package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processes finds the living processes with a variable in their environment that begins like tag.
func processes(tag string) map[int]string {
	found := map[int]string{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		// The environment of a zombie and of other users' processes cannot be read.
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+tag)) {
			continue
		}
		cmdline, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		found[pid] = strings.TrimSpace(string(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '})))
	}
	return found
}

// killAndWait ends one process, ours or a daemon's, and waits until it is gone.
func killAndWait(pid int) {
	_ = syscall.Kill(pid, syscall.SIGKILL)
	for range 500 {
		if gone(pid) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// gone tells whether a process has ended (a zombie has).
func gone(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}

// mounts lists the mount points of this process's view, the deepest last.
func mounts() []string {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var points []string
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 4 {
			points = append(points, unescape.Replace(f[4]))
		}
	}
	return points
}

var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func mounted(target string) bool {
	for _, m := range mounts() {
		if m == target {
			return true
		}
	}
	return false
}

// unmountBelow takes down whatever is mounted below a folder, the newest first, dead or alive.
func unmountBelow(dir string) {
	points := mounts()
	for i := len(points) - 1; i >= 0; i-- {
		if !strings.HasPrefix(points[i], dir+"/") {
			continue
		}
		if asRoot() {
			_ = syscall.Unmount(points[i], syscall.MNT_DETACH)
		} else {
			_ = exec.Command("fusermount3", "-uz", points[i]).Run()
		}
	}
}
