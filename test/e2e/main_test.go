package e2e

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// world is what all tests of one process share. The folders but tmp are made
// once by the first process and only read afterwards.
var world struct {
	base     string // everything the suite writes is below it
	bin      string // base/bin/layerfs
	fixtures string // layers and images made by testdata/py/fixtures.py
	images   string // real images; "" when there are none
	py       string // testdata/py
	scripts  string // testdata/script
	tmp      string // this user's own folder
}

// basePattern is how the folder is called that everything is in.
const basePattern = "layerfs-e2e-*"

// baseEnv tells the second process where the first one has set everything up.
const baseEnv = "LAYERFS_E2E_BASE"

func asRoot() bool { return os.Geteuid() == 0 }

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.list").Value.String() != "" { // needs nothing set up, and nobody else
		os.Exit(m.Run())
	}
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (int, error) {
	if base := os.Getenv(baseEnv); base != "" {
		settle(base)
		return m.Run(), nil
	}
	base, err := setUp()
	if base != "" {
		defer discard(base)
	}
	if err != nil {
		return 1, err
	}
	settle(base)
	if !asRoot() {
		return m.Run(), nil
	}
	who, err := plainUser()
	if err != nil {
		return 1, err
	}
	if err := smallFileSystems(base, who); err != nil {
		return 1, err
	}
	as, code := os.Getenv("LAYERFS_E2E_AS"), 0
	second := func() int { return 0 }
	if as != "root" {
		if second, err = startAs(who, base); err != nil {
			return 1, err
		}
	}
	if as != "user" {
		code = m.Run()
	}
	return max(code, second()), nil
}

// settle fills in world for the user who runs this process.
func settle(base string) {
	world.base = base
	world.bin = filepath.Join(base, "bin", "layerfs")
	world.fixtures = filepath.Join(base, "fixtures")
	world.py = filepath.Join(base, "testdata", "py")
	world.scripts = filepath.Join(base, "testdata", "script")
	if dir := filepath.Join(base, "images"); exists(dir) {
		world.images = dir
	}
	world.tmp = filepath.Join(base, "user")
	if asRoot() {
		world.tmp = filepath.Join(base, "root")
	}
}

// setUp makes everything that the tests only read. It is all copied below one
// folder because a plain user may not be able to enter the checkout.
func setUp() (base string, err error) {
	base, err = publicTemp()
	if err != nil {
		return base, err
	}
	for _, dir := range []string{"bin", "root", "user"} {
		if err := os.Mkdir(filepath.Join(base, dir), 0o755); err != nil {
			return base, err
		}
	}
	bin := filepath.Join(base, "bin", "layerfs")
	if own := os.Getenv("LAYERFS_BIN"); own != "" {
		err = copyFile(bin, own)
	} else {
		build := exec.Command("go", "build", "-o", bin, "../../cmd/layerfs")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		err = describe(build, "build layerfs")
	}
	if err != nil {
		return base, err
	}
	if err := copyTree(filepath.Join(base, "testdata"), "testdata"); err != nil {
		return base, err
	}
	images := os.Getenv("LAYERFS_TEST_IMAGES")
	if images == "" {
		images = "../../../shared/images"
	}
	if exists(images) {
		if err := copyTree(filepath.Join(base, "images"), images); err != nil {
			return base, err
		}
	} else if os.Getenv("LAYERFS_TEST_IMAGES") != "" {
		return base, fmt.Errorf("LAYERFS_TEST_IMAGES: no folder %s", images)
	}
	make := exec.Command("python3", "testdata/py/fixtures.py", filepath.Join(base, "fixtures"))
	make.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	return base, describe(make, "make the fixtures (python3 is needed)")
}

// publicTemp makes a folder that every user of the machine can reach.
func publicTemp() (string, error) {
	var tried []string
	for _, parent := range []string{os.TempDir(), "/var/tmp", "/tmp"} {
		if !public(parent) {
			tried = append(tried, parent)
			continue
		}
		sweep(parent)
		base, err := os.MkdirTemp(parent, basePattern)
		if err != nil {
			return "", err
		}
		return base, errors.Join(hold(base), os.Chmod(base, 0o755))
	}
	return "", fmt.Errorf("none of %s can be entered by everybody", strings.Join(tried, ", "))
}

func public(dir string) bool {
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&1 == 0 {
			return false
		}
		if dir == "/" || dir == "." {
			return true
		}
	}
}

// startAs starts this test program again with the rights of a plain user.
// The function that it returns waits for the end, shows the output and gives the exit code.
func startAs(who *user.User, base string) (func() int, error) {
	uid, gid := ids(who)
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	copied := filepath.Join(base, "bin", "e2e.test")
	if err := copyFile(copied, self); err != nil {
		return nil, err
	}
	home := filepath.Join(base, "user")
	if err := os.Chown(home, uid, gid); err != nil {
		return nil, err
	}
	var args []string
	flag.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "test.run", "test.skip", "test.v", "test.short", "test.count", "test.parallel", "test.timeout", "test.failfast":
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	var out bytes.Buffer
	cmd := exec.Command(copied, args...)
	cmd.Dir = base
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(os.Environ(), baseEnv+"="+base, "HOME="+home, "TMPDIR="+home, "USER="+who.Username)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{}},
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the tests as %s: %w", who.Username, err)
	}
	return func() int {
		err := cmd.Wait()
		fmt.Printf("=== the same as %s (uid %s)\n%s", who.Username, who.Uid, out.Bytes())
		var exit *exec.ExitError
		switch {
		case err == nil:
			return 0
		case errors.As(err, &exit) && exit.ExitCode() > 0:
			return exit.ExitCode()
		default:
			fmt.Println(err)
			return 1
		}
	}, nil
}

// plainUser is LAYERFS_E2E_USER, else the first ordinary account, else nobody.
// fusermount3 wants an account that has a name.
func plainUser() (*user.User, error) {
	if name := os.Getenv("LAYERFS_E2E_USER"); name != "" {
		if _, err := strconv.Atoi(name); err == nil {
			return user.LookupId(name)
		}
		return user.Lookup(name)
	}
	for uid := 1000; uid < 1010; uid++ {
		if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
			return u, nil
		}
	}
	return user.Lookup("nobody")
}

// ids are a user's numbers, which on Linux are numbers.
func ids(who *user.User) (uid, gid int) {
	uid, _ = strconv.Atoi(who.Uid)
	gid, _ = strconv.Atoi(who.Gid)
	return uid, gid
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func copyFile(dst, src string) error {
	data, err := os.ReadFile(src)
	if err != nil {
		return err
	}
	info, err := os.Stat(src)
	if err != nil {
		return err
	}
	return os.WriteFile(dst, data, info.Mode().Perm()|0o444)
}

func copyTree(dst, src string) error {
	return filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Mkdir(filepath.Join(dst, rel), 0o755)
		}
		return copyFile(filepath.Join(dst, rel), path)
	})
}

// describe runs a command of the set-up and puts its output into the error.
func describe(cmd *exec.Cmd, what string) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", what, err, out)
	}
	return nil
}
