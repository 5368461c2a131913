package doctor

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAllowOther(t *testing.T) {
	for _, test := range []struct {
		name, conf string
		root       bool
		want       Status
	}{
		{"debian's default", "# Allow\n#user_allow_other\n#mount_max = 1000\n", false, Warn},
		{"set", "user_allow_other\n", false, OK},
		{"set among others, with a comment", "mount_max = 10\n  user_allow_other # for podman\n", false, OK},
		{"a longer word is another word", "user_allow_others\n", false, Warn},
		{"root needs no permission", "", true, OK},
	} {
		t.Run(test.name, func(t *testing.T) {
			conf := filepath.Join(t.TempDir(), "fuse.conf")
			if err := os.WriteFile(conf, []byte(test.conf), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := allowOther(conf, test.root); got.Status != test.want {
				t.Errorf("got %+v, want status %s", got, test.want)
			}
		})
	}
	if got := allowOther("/does/not/exist", false); got.Status != Warn || got.Fix == "" {
		t.Errorf("missing file: got %+v", got)
	}
}

func TestDevice(t *testing.T) {
	dir := t.TempDir()
	if got := device(filepath.Join(dir, "none")); got.Status != Fail || !strings.Contains(got.Fix, "modprobe") {
		t.Errorf("missing device: %+v", got)
	}
	if got := device(os.DevNull); got.Status != OK {
		t.Errorf("a device that opens: %+v", got)
	}
	if os.Geteuid() == 0 {
		t.Log("root may open everything; the closed device is tried as a plain user only")
		return
	}
	closed := filepath.Join(dir, "closed")
	if err := os.WriteFile(closed, nil, 0o000); err != nil {
		t.Fatal(err)
	}
	if got := device(closed); got.Status != Fail || !strings.Contains(got.Fix, "chmod 0666") {
		t.Errorf("closed device: %+v", got)
	}
}

func TestFusermountMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if got := fusermount(false); got.Status != Fail || !strings.Contains(got.Fix, "fuse3") {
		t.Errorf("as a plain user: %+v", got)
	}
	if got := fusermount(true); got.Status != Warn {
		t.Errorf("as root: %+v", got)
	}
}

func TestFusermountWithoutSetuid(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if err := os.WriteFile(filepath.Join(dir, "fusermount3"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := fusermount(false); got.Status != Fail || !strings.Contains(got.Fix, "chmod u+s") {
		t.Errorf("got %+v", got)
	}
}

// The tools of coreutils and util-linux are the independent witness of what the file system can do.
func TestFilesystemAgreesWithTools(t *testing.T) {
	root := filepath.Join(t.TempDir(), "not", "there", "yet")
	found := map[string]Status{}
	for _, finding := range filesystem(root) {
		found[finding.Name] = finding.Status
		if finding.Status != OK && finding.Fix == "" {
			t.Errorf("%s: no fix said", finding.Name)
		}
	}
	dir := t.TempDir()
	a := filepath.Join(dir, "a")
	if err := os.WriteFile(a, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, command := range map[string][]string{
		"hard links": {"ln", a, filepath.Join(dir, "link")},
		"whiteouts":  {"mknod", filepath.Join(dir, "wh"), "c", "0", "0"},
		"reflinks":   {"cp", "--reflink=always", a, filepath.Join(dir, "clone")},
	} {
		works := exec.Command(command[0], command[1:]...).Run() == nil
		if (found[name] == OK) != works {
			t.Errorf("%s: found %q, but %v works: %v", name, found[name], command, works)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(filepath.Dir(filepath.Dir(root))))
	if err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v (%v)", entries, err)
	}
}

func TestFilesystemRefusesFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	findings := filesystem(file)
	if len(findings) != 1 || findings[0].Status != Fail || !strings.Contains(findings[0].Detail, "not a directory") {
		t.Errorf("got %+v", findings)
	}
}

func TestOpenFilesWarnsWhenLow(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	want := OK
	if limit.Max < fewFiles {
		want = Warn
	}
	if got := openFiles(); got.Status != want {
		t.Errorf("limit %d: %+v", limit.Max, got)
	}
}
