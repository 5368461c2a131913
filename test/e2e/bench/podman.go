package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	podmanFuse = "podman + fuse-overlayfs"
	podmanOwn  = "podman"
)

// podman runs podman with storage of its own, all below the run's folder.
type podman struct {
	b      *bench
	stores []string // folders with storage
	driver string   // how it stores layers
}

// findPodman tries podman out: without subordinate ids, say, it is installed and useless.
func (b *bench) findPodman(ctx context.Context) error {
	// Locks, sockets and logs of a run stay in its folder.
	config := fmt.Sprintf("[engine]\nlock_type = \"file\"\ntmp_dir = %q\nevents_logger = \"none\"\ncgroup_manager = \"cgroupfs\"\n",
		b.path("run", "libpod"))
	if err := os.WriteFile(b.path("home", "containers.conf"), []byte(config), 0o644); err != nil {
		return err
	}
	if !b.has("podman") {
		return nil
	}
	// Podman refuses a runroot of more than 50 characters.
	const longest = 50 - len("/p-1234/r")
	if len(b.dir) > longest {
		b.report.note("podman is left out: its paths must be short; choose a -dir of at most %d characters",
			longest-len(filepath.Base(b.dir))-1)
		return nil
	}
	p := &podman{b: b}
	dir, err := b.fresh("p")
	if err != nil {
		return err
	}
	b.podman = p
	if _, err := p.do(ctx, dir, nil, "load", "-q", "-i", b.inputs["probe"].layout()); err != nil {
		b.report.note("podman is left out: %v", err)
		err := p.clear()
		b.podman = nil
		return err
	}
	// Where a mount program does the work, its CPU is not the command's: the report shall show it.
	p.driver, err = p.do(ctx, dir, nil, "info", "--format",
		`storage {{.Store.GraphDriverName}}, native diff {{index .Store.GraphStatus "Native Overlay Diff"}}, options {{.Store.GraphOptions}}`)
	return errors.Join(err, p.remove(dir))
}

// has tells whether a peer is installed; if not, a note does.
func (b *bench) has(name string) bool {
	_, err := exec.LookPath(name)
	if err != nil {
		b.report.note("%s is left out: it is not installed", name)
	}
	return err == nil
}

// args are podman's global options for the storage in dir.
func (p *podman) args(dir string, options []string, args ...string) []string {
	all := []string{"--root", filepath.Join(dir, "g"), "--runroot", filepath.Join(dir, "r"), "--storage-driver", "overlay"}
	for _, o := range options {
		all = append(all, "--storage-opt", o)
	}
	return append(all, args...)
}

func (p *podman) do(ctx context.Context, dir string, options []string, args ...string) (string, error) {
	p.use(dir)
	return p.b.do(ctx, "podman", p.args(dir, options, args...)...)
}

func (p *podman) use(dir string) {
	if !slices.Contains(p.stores, dir) {
		p.stores = append(p.stores, dir)
	}
}

// entrant runs one podman command on empty storage.
func (p *podman) entrant(side string, args ...string) entrant {
	return entrant{side, func(ctx context.Context) ([]pass, error) {
		if err := syncfs(p.b.dir); err != nil {
			return nil, err
		}
		dir, err := p.b.fresh("p")
		if err != nil {
			return nil, err
		}
		p.use(dir)
		s, err := timed(p.b.command(ctx, "podman", p.args(dir, nil, args...)...))
		return []pass{{"", s}}, errors.Join(err, p.remove(dir))
	}}
}

// changes makes a container of the image, changes the listed files in it, and asks what has changed.
func (p *podman) changes(ctx context.Context, side string, im *image, list string) (entrant, error) {
	var options []string
	if side == podmanFuse {
		if p.b.fuseOverlayfs == "" {
			return entrant{}, errors.New("there is no fuse-overlayfs")
		}
		options = []string{"overlay.mount_program=" + p.b.fuseOverlayfs}
	}
	dir, err := p.b.fresh("p")
	if err != nil {
		return entrant{}, err
	}
	if _, err := p.do(ctx, dir, options, "load", "-q", "-i", im.layout()); err != nil {
		return entrant{}, err
	}
	id, err := p.do(ctx, dir, options, "images", "-q")
	if err != nil {
		return entrant{}, err
	}
	return entrant{side, func(ctx context.Context) ([]pass, error) {
		container, err := p.do(ctx, dir, options, "create", "--network", "none", id)
		if err != nil {
			return nil, err
		}
		if err := p.edit(ctx, dir, options, container, list); err != nil {
			return nil, err
		}
		var passes []pass
		for _, step := range []struct {
			phase string
			args  []string
		}{{"changes", []string{"diff", container}}, {"commit", []string{"commit", "-q", container, "localhost/changed"}}} {
			if err := syncfs(p.b.dir); err != nil {
				return nil, err
			}
			s, err := timed(p.b.command(ctx, "podman", p.args(dir, options, step.args...)...))
			if err != nil {
				return nil, err
			}
			passes = append(passes, pass{step.phase, s})
		}
		if _, err := p.do(ctx, dir, options, "rm", container); err != nil {
			return nil, err
		}
		_, err = p.do(ctx, dir, options, "rmi", "localhost/changed")
		return passes, err
	}}, nil
}

// edit appends a line to every file of the list, in the container's mount. A plain user's podman mounts in a
// namespace that only `podman unshare` enters.
func (p *podman) edit(ctx context.Context, dir string, options []string, container, list string) error {
	quoted := func(args ...string) string {
		return "podman '" + strings.Join(p.args(dir, options, args...), "' '") + "'"
	}
	script := fmt.Sprintf(`set -e; cd "$(%s)"; while IFS= read -r f; do echo edited >>"$f"; done <'%s'; cd /; %s`,
		quoted("mount", container), list, quoted("umount", container)+" >/dev/null")
	name, args := "sh", []string{"-c", script}
	if !p.b.root {
		name, args = "podman", p.args(dir, options, "unshare", "sh", "-c", script)
	}
	_, err := p.b.do(ctx, name, args...)
	return err
}

// remove deletes storage. Much of a plain user's belongs to his subordinate ids.
func (p *podman) remove(dir string) error {
	for _, target := range mountsBelow(dir) {
		if err := p.b.detach(target); err != nil {
			return err
		}
	}
	if p.b.root {
		return removeAll(dir)
	}
	// Podman keeps its storage mounted on itself in that namespace.
	script := `umount -l "$1"/g/overlay 2>/dev/null; rm -rf "$1"`
	_, err := p.b.do(context.Background(), "podman", p.args(dir, nil, "unshare", "sh", "-c", script, "sh", dir)...)
	return err
}

// clear removes all storage, and ends the process that keeps a plain user's namespace.
func (p *podman) clear() error {
	if p == nil {
		return nil
	}
	var errs []error
	for _, dir := range p.stores {
		if _, err := os.Lstat(dir); err == nil {
			errs = append(errs, p.remove(dir))
		}
	}
	text, err := os.ReadFile(p.b.path("run", "libpod", "pause.pid"))
	if err != nil {
		return errors.Join(errs...) // there is none
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGTERM)
	}
	return errors.Join(append(errs, err)...)
}
