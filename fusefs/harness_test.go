package fusefs

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/layerfs/layerfs/tarindex"
	"github.com/layerfs/layerfs/unionfs"
)

// The tests mount for real. The mount is served by a child, which is this test
// binary once more, so that the tests are its clients like any other program:
// they may map files into memory, kill the server, and unmount from outside.
//
// All tests run as whoever started them. Started as root they run twice more,
// in children: as a plain user, whose mounts go through fusermount3, and as root
// of a user namespace (TestAsPlainUser, TestInUserNamespace).

// TestMain is the program that serves, and the clients that need a process.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case "serve":
			os.Exit(serve(os.Args[2]))
		case "client":
			os.Exit(client(os.Args[2], os.Args[3:]))
		}
	}
	os.Exit(m.Run())
}

// needFUSE skips where the machine has no FUSE to mount with.
func needFUSE(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("needs /dev/fuse: %v", err)
	}
	f.Close()
	if thisWay() == asPlain {
		if _, err := helper(); err != nil {
			t.Skipf("needs fusermount3: %v", err)
		}
	}
}

// share is what server and test tell each other.
type share struct {
	Dir     string // holds index, content/, upper/, work/, log
	Target  string
	Options string
}

func (s share) path(name string) string { return filepath.Join(s.Dir, name) }

// serve is the server process: it says "ready", or why not, and ends when the
// mount is gone.
func serve(arg string) int {
	var s share
	if err := json.Unmarshal([]byte(arg), &s); err != nil {
		return complain(err)
	}
	unix.Umask(0)
	index, err := tarindex.Open(s.path("index"))
	if err != nil {
		return complain(err)
	}
	o, err := ParseOptions(s.Options)
	if err != nil {
		return complain(err)
	}
	u := unionfs.Options{Lower: index, Upper: s.path("upper"), Work: s.path("work"), Volatile: o.Volatile,
		Open: func(h tarindex.Hash, _ int64) (*os.File, int64, error) {
			f, err := os.Open(s.path("content/" + h.String()))
			return f, 0, err
		},
	}
	if o.ReadOnly {
		u.Upper, u.Work = "", ""
	}
	union, err := unionfs.New(u)
	if err != nil {
		return complain(err)
	}
	log := logrus.New()
	logFile, err := os.OpenFile(s.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return complain(err)
	}
	log.SetOutput(logFile)
	cfg := Config{Options: o, Target: s.Target, FS: union, Log: log}
	cfg.wrap = func(r fuse.RawFileSystem) fuse.RawFileSystem {
		return &probe{RawFileSystem: r, report: s.path("requests")}
	}
	srv, err := Mount(cfg)
	if err != nil {
		return complain(err)
	}
	fmt.Println("ready")
	srv.Wait()
	if err := union.Close(); err != nil {
		return complain(err)
	}
	return 0
}

func complain(err error) int {
	fmt.Println(err)
	return 1
}

// A union is an RW layer over a lower, mounted or not.
type union struct {
	share
	t      *testing.T
	server *exec.Cmd
	ended  chan error
	output *bytes.Buffer
}

// newUnion makes the lower out of files and an empty upper.
func newUnion(t *testing.T, files ...file) *union {
	t.Helper()
	needFUSE(t)
	root := t.TempDir()
	u := &union{t: t, share: share{Dir: filepath.Join(root, "layer"), Target: filepath.Join(root, "mnt")}}
	for _, d := range []string{u.Dir, u.Target, u.path("upper"), u.path("work"), u.path("content")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	u.writeIndex(files)
	return u
}

// mount is newUnion, mounted with options until the test ends.
func mount(t *testing.T, options string, files ...file) *union {
	t.Helper()
	u := newUnion(t, files...)
	u.Options = options
	u.start()
	return u
}

// start mounts; the cleanup unmounts.
func (u *union) start() {
	u.t.Helper()
	if err := u.tryStart(); err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(u.cleanup)
}

func (u *union) tryStart() error {
	arg, err := json.Marshal(u.share)
	if err != nil {
		return err
	}
	u.output = new(bytes.Buffer)
	u.ended = make(chan error, 1)
	u.server = exec.Command("/proc/self/exe", "serve", string(arg))
	u.server.Stderr = u.output
	out, err := u.server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := u.server.Start(); err != nil {
		return err
	}
	said, _ := bufio.NewReader(out).ReadString('\n')
	if said != "ready\n" {
		text, _ := io.ReadAll(out)
		_ = u.server.Wait()
		u.server = nil
		return fmt.Errorf("%s%s%s", said, text, u.output)
	}
	server, ended := u.server, u.ended
	go func() { ended <- server.Wait() }()
	return nil
}

// stop unmounts and waits for the server to end, as `layerfs umount` does.
func (u *union) stop() {
	u.t.Helper()
	if err := Unmount(u.Target, false); err != nil {
		u.t.Fatal(err)
	}
	u.wait()
}

func (u *union) wait() {
	u.t.Helper()
	if err := <-u.ended; err != nil {
		u.t.Errorf("the server ended with %v: %s", err, u.output)
	}
	u.server = nil
}

// remount closes the open files first, which would keep the mount busy.
func (u *union) remount(open ...*os.File) {
	u.t.Helper()
	for _, f := range open {
		check(u.t, f.Close())
	}
	u.stop()
	if err := u.tryStart(); err != nil {
		u.t.Fatal(err)
	}
}

// cleanup leaves no mount and no process, whatever the test did.
func (u *union) cleanup() {
	if u.server != nil {
		if err := Unmount(u.Target, true); err != nil && !errors.Is(err, ErrNotMounted) {
			u.t.Errorf("cleanup: %v", err)
			_ = u.server.Process.Kill()
		}
		select {
		case err := <-u.ended:
			if err != nil {
				u.t.Errorf("the server ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			u.t.Error("the server does not end after the unmount")
			_ = u.server.Process.Kill()
			<-u.ended
		}
	}
	if log, err := os.ReadFile(u.path("log")); err == nil && u.t.Failed() {
		u.t.Logf("server log: %s%s", log, u.output)
	}
	openUp(u.path("upper"))
	openUp(u.path("work"))
}

// openUp lets t.TempDir remove directories that a test has closed to itself.
func openUp(dir string) {
	_ = os.Chmod(dir, 0o700)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			openUp(filepath.Join(dir, e.Name()))
		}
	}
}

// at is a path in the mount.
func (u *union) at(name string) string { return filepath.Join(u.Target, name) }

func (u *union) read(name string) string {
	u.t.Helper()
	b, err := os.ReadFile(u.at(name))
	if err != nil {
		u.t.Fatal(err)
	}
	return string(b)
}

func (u *union) write(name, data string) {
	u.t.Helper()
	if err := os.WriteFile(u.at(name), []byte(data), 0o644); err != nil {
		u.t.Fatal(err)
	}
}

func (u *union) open(name string, flags int) *os.File {
	u.t.Helper()
	f, err := os.OpenFile(u.at(name), flags, 0o644)
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { f.Close() })
	return f
}

func (u *union) stat(name string) unix.Stat_t {
	u.t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(u.at(name), &st); err != nil {
		u.t.Fatalf("lstat %s: %v", name, err)
	}
	return st
}

func (u *union) names(name string) []string {
	u.t.Helper()
	entries, err := os.ReadDir(u.at(name))
	if err != nil {
		u.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (u *union) want(name, data string) {
	u.t.Helper()
	if got := u.read(name); got != data {
		u.t.Errorf("%s holds %s, want %s", name, short(got), short(data))
	}
}

func short(s string) string {
	if len(s) <= 80 {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q... (%d bytes, SHA-256 %x)", s[:40], len(s), sha256.Sum256([]byte(s)))
}

// check fails the test for an error, and wantErr for another one than want.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// dropPages makes the kernel forget the pages of f, so that the next read asks
// the server.
func dropPages(t *testing.T, f *os.File) {
	t.Helper()
	check(t, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
}

// dropCaches makes the kernel forget all pages, dentries and inodes that nothing
// uses, of every file system. Only real root can; others go without.
func dropCaches(t *testing.T) {
	t.Helper()
	if thisWay() == asRoot {
		check(t, os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0))
	}
}

// parallel runs f n times at once and fails the test for any error.
func parallel(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	check(t, errors.Join(errs...))
}
