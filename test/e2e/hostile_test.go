package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A hostile layer is one that would break out of a folder if somebody unpacked it carelessly. What the mount shows is
// by docs/semantics.md.
type hostile struct {
	name    string
	entries []tar.Header // a regular file holds its own name
	lower   []tar.Header // a layer below
	want    []string     // every path in the mount: PATH/, PATH=CONTENT, PATH -> TARGET
}

func regular(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name} }
func folder(name string) tar.Header  { return tar.Header{Typeflag: tar.TypeDir, Name: name} }
func symLinked(name, to string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
}
func hardLinked(name, to string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to}
}

// hostiles are the ideas of containerd's TestBreakouts and of the CVEs of unpackers. victim is a path of the host, as in
// /tmp/x/victim; at is the same without the slash.
func hostiles(victim string) []hostile {
	at := strings.TrimPrefix(victim, "/")
	dir := filepath.Dir(victim)
	up := strings.Repeat("../", 40)
	// below lists the folders of a path, and then the last line.
	below := func(path, line string) []string {
		var lines []string
		for i, c := range path {
			if c == '/' && i > 0 {
				lines = append(lines, path[:i]+"/")
			}
		}
		return append(lines, line)
	}
	bin := folder("bin")
	return []hostile{
		{name: "up and out", entries: []tar.Header{regular("../victim"), regular(up + at), regular("a/" + up + at), regular("good")}, want: []string{"good=good"}},
		{name: "absolute", entries: []tar.Header{regular(victim)}, want: below(at, at+"="+victim)},
		{name: "many slashes", entries: []tar.Header{regular("//" + victim)}, want: below(at, at+"=//"+victim)},
		{name: "proc", entries: []tar.Header{regular("/proc/self/cwd/victim"), regular("proc/self/fd/3/x")},
			want: []string{"proc/", "proc/self/", "proc/self/cwd/", "proc/self/cwd/victim=/proc/self/cwd/victim", "proc/self/fd/", "proc/self/fd/3/", "proc/self/fd/3/x=proc/self/fd/3/x"}},
		{name: "no name", entries: []tar.Header{regular(""), regular("."), regular("/."), symLinked(".", "/etc"), symLinked("", "/etc")}},
		{name: "control characters", entries: []tar.Header{regular("a\nb"), regular("\x1b[2J"), regular("\\..\\victim"), regular("-rf"), regular("$(id)")},
			want: []string{"$(id)=$(id)", "-rf=-rf", "\x1b[2J=\x1b[2J", "\\..\\victim=\\..\\victim", "a\nb=a\nb"}},
		{name: "device", entries: []tar.Header{{Typeflag: tar.TypeFifo, Name: "pipe"}}, want: []string{"pipe|"}},

		{name: "through an absolute link", entries: []tar.Header{symLinked("l", dir), regular("l/victim")},
			want: append(below(at, at+"=l/victim"), "l -> "+dir)},
		{name: "through a relative link", entries: []tar.Header{symLinked("l", up+filepath.Dir(at)), regular("l/victim")},
			want: append(below(at, at+"=l/victim"), "l -> "+up+filepath.Dir(at))},
		{name: "through two links", entries: []tar.Header{folder("d"), symLinked("d/up", ".."), symLinked("l", "d/up/d/up/.."), regular("l/x")},
			want: []string{"d/", "d/up -> ..", "l -> d/up/d/up/..", "x=l/x"}},
		{name: "link over itself", entries: []tar.Header{symLinked("l", victim), regular("l")}, want: []string{"l=l"}},
		{name: "folder over a link", entries: []tar.Header{symLinked("l", dir), folder("l"), regular("l/victim")}, want: []string{"l/", "l/victim=l/victim"}},
		{name: "link over a folder", entries: []tar.Header{folder("l"), regular("l/old"), symLinked("l", dir), regular("l/victim")},
			want: append(below(at, at+"=l/victim"), "l -> "+dir)},
		{name: "link in a lower layer", lower: []tar.Header{symLinked("l", dir)}, entries: []tar.Header{regular("l/victim")}, want: []string{"l/", "l/victim=l/victim"}},
		{name: "endless links", entries: []tar.Header{symLinked("a", "b"), symLinked("b", "a"), regular("a/x"), symLinked("s", "."), regular("s/s/s/s/x")},
			want: []string{"a -> b", "b -> a", "s -> .", "x=s/s/s/s/x"}},
		{name: "link without target", entries: []tar.Header{symLinked("l", ""), regular("good")}, want: []string{"good=good"}},
		{name: "link to a hidden place", entries: []tar.Header{symLinked("l", "/proc/self/cwd"), regular("l/victim")},
			want: []string{"l -> /proc/self/cwd", "proc/", "proc/self/", "proc/self/cwd/", "proc/self/cwd/victim=l/victim"}},
		{name: "folder through a link", entries: []tar.Header{symLinked("l", up+"etc"), folder("l/new")}, want: []string{"etc/", "etc/new/", "l -> " + up + "etc"}},

		{name: "hard link out", entries: []tar.Header{hardLinked("h", victim), hardLinked("i", up+at), hardLinked("j", "../victim"), regular("good")}, want: []string{"good=good"}},
		{name: "hard link through a link", entries: []tar.Header{symLinked("l", dir), hardLinked("h", "l/victim")}, want: []string{"l -> " + dir}},
		{name: "hard link to a link", entries: []tar.Header{symLinked("l", victim), hardLinked("h", "l")}, want: []string{"h -> " + victim, "l -> " + victim}},
		{name: "chmod of a hard link to a link", entries: []tar.Header{symLinked("l", victim), hardLinked("h", "l"), {Typeflag: tar.TypeLink, Name: "h2", Linkname: "h", Mode: 0o4777}},
			want: []string{"h -> " + victim, "h2 -> " + victim, "l -> " + victim}},
		{name: "write through a hard link", entries: []tar.Header{symLinked("l", victim), hardLinked("h", "l"), regular("h")}, want: []string{"h=h", "l -> " + victim}},
		{name: "hard link to a folder", entries: []tar.Header{bin, hardLinked("h", "bin"), hardLinked("r", "/"), hardLinked("e", "")}, want: []string{"bin/"}},
		{name: "hard links to each other", entries: []tar.Header{hardLinked("a", "b"), hardLinked("b", "a"), hardLinked("c", "c")}},

		{name: "whiteouts of here and above", lower: []tar.Header{regular("d/f")}, entries: []tar.Header{regular(".wh."), regular(".wh.."), regular(".wh..."), regular("d/.wh."), regular("d/.wh.."), regular("d/.wh...")},
			want: []string{"d/", "d/f=d/f"}},
		{name: "whiteouts out", lower: []tar.Header{regular("f")}, entries: []tar.Header{regular("../.wh.victim"), regular(up + filepath.Dir(at) + "/.wh.victim"), regular(".wh.victim"), regular(filepath.Dir(victim) + "/.wh.victim")}, want: []string{"f=f"}},
		{name: "whiteout through a link", lower: []tar.Header{regular("f")}, entries: []tar.Header{symLinked("l", dir), regular("l/.wh.victim"), regular("l/.wh..wh..opq")}, want: []string{"f=f", "l -> " + dir}},
		{name: "whiteout of a link", lower: []tar.Header{symLinked("l", victim), regular("f")}, entries: []tar.Header{regular(".wh.l")}, want: []string{"f=f"}},
		{name: "opaque root", lower: []tar.Header{regular("f"), symLinked("l", victim)}, entries: []tar.Header{regular(".wh..wh..opq")}},
	}
}

// TestHostile registers and mounts layers that want to break out. Nothing beside the store changes, every file of the
// store has a name of the store's, and the mount shows what the documentation says.
func TestHostile(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	bait := b.path("bait")
	victim := filepath.Join(bait, "victim")
	for _, name := range []string{"victim", "etc/passwd", "proc/self/cwd/x"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(bait, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bait, name), []byte("untouched"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	work := filepath.Join(bait, "work") // where the program runs
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	target := b.path("mnt-c0de")
	if err := os.Mkdir(target, 0o755); err != nil {
		t.Fatal(err)
	}
	// A harmless layer goes the same way first: these are the names that a store has.
	id := b.layerfs("register", b.layer("harmless.tar", []tar.Header{regular("f")}))
	b.mount("c0de", id)
	b.umount("c0de")
	b.layerfs("rm", "c0de")
	known := storeNames(t, b.store)
	before := surroundings(t, b)

	for _, h := range hostiles(victim) {
		t.Run(h.name, func(t *testing.T) {
			args := []string{"register"}
			if h.lower != nil {
				args = append(args, "--parent", b.layerfs("register", b.layer("lower.tar", h.lower)))
			}
			cmd := b.command("layerfs", append(args, b.layer("hostile.tar", h.entries))...)
			cmd.Dir = work
			var errs bytes.Buffer
			cmd.Stderr = &errs
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("register: %v\n%s", err, errs.String())
			}
			at := b.mount("c0de", strings.TrimSpace(string(out)), "--read-only")
			got := shown(t, at)
			b.umount("c0de")
			b.layerfs("rm", "c0de")
			slices.Sort(h.want)
			if !slices.Equal(got, h.want) {
				t.Errorf("the mount shows %q, want %q", got, h.want)
			}
			for _, name := range storeNames(t, b.store) {
				if !slices.Contains(known, name) {
					t.Errorf("the store has a file called %q", name)
				}
			}
			if after := surroundings(t, b); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
	b.healthy()
}

// layer writes a tar with Go's writer, in which a regular file holds its own name.
func (b *box) layer(name string, entries []tar.Header) string {
	b.t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range entries {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		h.Uid, h.Gid = os.Getuid(), os.Getgid()
		if err := w.WriteHeader(&h); err != nil {
			b.t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(h.Name)); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		b.t.Fatal(err)
	}
	path := b.path("tmp", name)
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// shown lists a mount as hostile.want does.
func shown(t *testing.T, root string) []string {
	t.Helper()
	var lines []string
	walk(t, root, func(path string, d fs.DirEntry) {
		name, _ := filepath.Rel(root, path)
		switch d.Type() {
		case fs.ModeDir:
			name += "/"
		case fs.ModeSymlink:
			to, err := os.Readlink(path)
			if err != nil {
				t.Error(err)
			}
			name += " -> " + to
		case fs.ModeNamedPipe:
			name += "|"
		default:
			data, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
			}
			name += "=" + string(data)
		}
		lines = append(lines, name)
	})
	slices.Sort(lines)
	return lines
}

var hexadecimal = regexp.MustCompile(`^[0-9a-f]{2,}$`)

// storeNames are the names of all files and folders of a store, each once, but for hexadecimal ones.
func storeNames(t *testing.T, store string) []string {
	t.Helper()
	seen := map[string]bool{}
	walk(t, store, func(path string, d fs.DirEntry) {
		if name := filepath.Base(path); !hexadecimal.MatchString(name) {
			seen[name] = true
		}
	})
	var names []string
	for name := range seen {
		names = append(names, name)
	}
	return names
}

// surroundings tells everything of the files of a box but its store and the tars that the test writes.
func surroundings(t *testing.T, b *box) string {
	t.Helper()
	var out strings.Builder
	walk(t, b.dir, func(path string, d fs.DirEntry) {
		info, err := d.Info()
		if err != nil {
			t.Error(err)
			return
		}
		name, _ := filepath.Rel(b.dir, path)
		if name == "store" || strings.HasPrefix(name, "store/") || strings.HasPrefix(name, "tmp/") && filepath.Ext(name) == ".tar" {
			return
		}
		fmt.Fprintf(&out, "%s %v", name, info.Mode())
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
			}
			fmt.Fprintf(&out, " %v %x", info.ModTime(), sha256.Sum256(data))
		}
		out.WriteString("\n")
	})
	// What an absolute name or a long way up would leave at the root of the host.
	for _, name := range []string{"/good", "/victim", "/x", "/bin/x"} {
		if exists(name) {
			fmt.Fprintf(&out, "%s\n", name)
		}
	}
	return out.String()
}

// walk calls visit for everything below root.
func walk(t *testing.T, root string, visit func(path string, d fs.DirEntry)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && path != root {
			visit(path, d)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
