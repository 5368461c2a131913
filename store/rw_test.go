package store_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/store"
)

func TestCreateRW(t *testing.T) {
	s := newStore(t)
	base := register(t, s, "", layerTar("a=one"))
	setup := register(t, s, base.ID, layerTar("etc/hosts=127.0.0.1 localhost"))

	rw, err := s.CreateRW("web", base.ID, store.RWOptions{Init: setup.ID, Image: "debian:12"})
	if err != nil {
		t.Fatal(err)
	}
	if rw.Parent != base.ID || rw.Lower() != setup.ID || rw.Image != "debian:12" {
		t.Errorf("created: %+v", rw)
	}
	for _, dir := range []string{rw.Upper(), rw.Work()} {
		if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
			t.Errorf("%s: %v", dir, err)
		}
	}
	again, err := s.RW("web")
	if err != nil || again.Parent != base.ID || again.Lower() != setup.ID || !again.Created.Equal(rw.Created) {
		t.Errorf("read back: %+v, %v", again, err)
	}
	view, err := s.CreateRW("", base.ID, store.RWOptions{ReadOnly: true})
	if err != nil || view.Upper() != "" || view.Work() != "" || view.Lower() != base.ID {
		t.Errorf("read-only view: %+v, %v", view, err)
	}
	if _, err := s.CreateRW("empty", "", store.RWOptions{}); err != nil {
		t.Errorf("over the empty chain: %v", err)
	}
	rws, err := s.RWs()
	if err != nil || len(rws) != 3 || rws[0].Name != "empty" {
		t.Errorf("list: %v, %v", rws, err)
	}
	// Its chains are safe from gc; without it they are not.
	if rep, err := s.GC(store.GCOptions{}); err != nil || len(rep.Chains) != 0 {
		t.Errorf("gc took the chains of an rw layer: %+v, %v", rep, err)
	}
	for _, rw := range rws {
		if err := s.RemoveRW(rw.Name); err != nil {
			t.Error(err)
		}
	}
	if rep, err := s.GC(store.GCOptions{}); err != nil || len(rep.Chains) != 2 || rep.Chains[0].ID != setup.ID {
		t.Errorf("gc: %+v, %v", rep, err)
	}
}

func TestCreateRWRefuses(t *testing.T) {
	s := newStore(t)
	base := register(t, s, "", layerTar("a=one"))
	other := register(t, s, "", layerTar("b=one"))
	if _, err := s.CreateRW("web", base.ID, store.RWOptions{}); err != nil {
		t.Fatal(err)
	}
	nothing := digest.FromString("nothing")
	for _, tc := range []struct {
		name   string
		parent digest.Digest
		o      store.RWOptions
		want   error
	}{
		{"web", base.ID, store.RWOptions{}, store.ErrExists},
		{"../up", base.ID, store.RWOptions{}, store.ErrName},
		{".hidden", base.ID, store.RWOptions{}, store.ErrName},
		{"a/b", base.ID, store.RWOptions{}, store.ErrName},
		{"a\n", base.ID, store.RWOptions{}, store.ErrName},
		{strings.Repeat("x", 129), base.ID, store.RWOptions{}, store.ErrName},
		{"new", nothing, store.RWOptions{}, store.ErrNotFound},
		{"new", base.ID, store.RWOptions{Init: nothing}, store.ErrNotFound},
		{"new", base.ID, store.RWOptions{Init: other.ID}, store.ErrNotFound},
	} {
		if _, err := s.CreateRW(tc.name, tc.parent, tc.o); !errors.Is(err, tc.want) {
			t.Errorf("%q over %q: %v, want %v", tc.name, tc.parent, err, tc.want)
		}
	}
	for _, f := range []func(string) error{
		func(n string) error { _, err := s.RW(n); return err }, s.RemoveRW,
	} {
		if err := f("nobody"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("no such rw layer: %v", err)
		}
	}
}

// A child that locks an RW layer as a mount process does, says so, and waits to be killed.
func init() {
	children["mount"] = func(s *store.Store, args []string) error {
		rw, err := s.RW(args[0])
		if err != nil {
			return err
		}
		if _, err := rw.Lock(); err != nil {
			return err
		}
		if err := rw.SetMount(store.Mount{PID: os.Getpid(), Target: args[1], Started: time.Now()}); err != nil {
			return err
		}
		if _, err := os.Stdout.WriteString("mounted\n"); err != nil {
			return err
		}
		time.Sleep(time.Minute)
		return errors.New("nobody killed the mount")
	}
}

func TestRWLock(t *testing.T) {
	s := newStore(t)
	rw, err := s.CreateRW("web", "", store.RWOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantState := func(want string) *store.Mount {
		t.Helper()
		st, err := rw.Status()
		if err != nil || st.State != want {
			t.Errorf("status %+v, %v; want %s", st, err, want)
		}
		return st.Mount
	}
	wantState(store.Idle)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := child(ctx, "mount", s.Root(), "web", "/some/where")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("mounted\n"))); err != nil {
		t.Fatal(err)
	}
	if m := wantState(store.Mounted); m == nil || m.PID != cmd.Process.Pid || m.Target != "/some/where" {
		t.Errorf("mount: %+v", m)
	}
	_, err = rw.Lock()
	if !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), "/some/where") {
		t.Errorf("second mount: %v", err)
	}
	if err := s.RemoveRW("web"); !errors.Is(err, store.ErrInUse) {
		t.Errorf("rm while mounted: %v", err)
	}
	cancel() // kills it
	_ = cmd.Wait()
	wantState(store.Dead)

	unlock, err := rw.Lock()
	if err != nil {
		t.Fatalf("lock of a dead process: %v", err)
	}
	if err := errors.Join(rw.ClearMount(), rw.ClearMount()); err != nil {
		t.Error(err)
	}
	wantState(store.Mounted)
	unlock()
	wantState(store.Idle)
	if err := s.RemoveRW("web"); err != nil {
		t.Error(err)
	}
	if _, err := rw.Lock(); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("lock of a removed rw layer: %v", err)
	}
}

// What users and programs leave in an upper must not keep it from being removed.
func TestRemoveRWHardToRemove(t *testing.T) {
	s := newStore(t)
	rw, err := s.CreateRW("web", "", store.RWOptions{})
	if err != nil {
		t.Fatal(err)
	}
	deep := rw.Upper()
	for range 40 {
		deep = filepath.Join(deep, strings.Repeat("d", 90)) // 3,600 bytes and still a legal path
	}
	locked := filepath.Join(rw.Upper(), "locked", "inner")
	for _, dir := range []string{deep, locked} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := errors.Join(
		os.WriteFile(filepath.Join(locked, "file"), []byte("x"), 0),
		os.WriteFile(outside, []byte("x"), 0o600),
		os.Symlink(filepath.Dir(outside), filepath.Join(rw.Upper(), "link")),
		os.Chmod(locked, 0), os.Chmod(filepath.Dir(locked), 0),
		os.Truncate(filepath.Join(rw.Dir(), "record"), 0), // a damaged record must not hinder either
	); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveRW("web"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("the removal followed a symbolic link: %v", err)
	}
	wantNoLitter(t, s)
}
