package tarindex

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
)

// A model is a tree as a map of paths: the slow and obvious way to apply
// layers, to compare Merge with.
type model map[string]*object

type object struct {
	kind string // "dir", "file", "link"
	text string // content or target
	mode int64
}

// remove removes what is below p, and p itself if self.
func (m model) remove(p string, self bool) {
	for q := range m {
		if self && q == p || strings.HasPrefix(q, p+"/") {
			delete(m, q)
		}
	}
}

func (m model) isDir(p string) bool { return m[p] != nil && m[p].kind == "dir" }

// A modelLayer is what a layer's entries mean before they are applied.
type modelLayer struct {
	own                     model
	implied, hidden, opaque map[string]bool
	links                   map[string]string // to what is not there yet
	final                   map[string]string // to lower layers
}

// real returns where the directory p leads in the layer, symbolic links
// followed; false if that is below a file or a circle. make makes what is
// missing.
func (l *modelLayer) real(p string, make bool) (string, bool) {
	at, hops := "", 0
	for todo := strings.Split(p, "/"); len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = strings.TrimPrefix(path.Dir("/"+at), "/")
			continue
		}
		next := path.Join(at, name)
		o := l.own[next]
		_, pending := l.links[next]
		switch {
		case pending:
			return "", false
		case o == nil:
			if make {
				l.own[next], l.implied[next] = &object{kind: "dir", mode: 0o755}, true
			}
			at = next
		case o.kind == "dir":
			at = next
		case o.kind == "link":
			if hops++; hops > 40 {
				return "", false
			}
			if strings.HasPrefix(o.text, "/") {
				at = ""
			}
			todo = append(strings.Split(o.text, "/"), todo...)
		default:
			return "", false
		}
	}
	return at, true
}

// get returns what the layer has at a path, the last name of which is not
// followed.
func (l *modelLayer) get(p string) (place string, o *object) {
	d, base := path.Split(p)
	d, ok := l.real(d, false)
	if !ok {
		return "", nil
	}
	place = path.Join(d, base)
	return place, l.own[place]
}

func (l *modelLayer) add(e ent) {
	d, base := path.Split(e.name)
	hides, white := strings.CutPrefix(base, ".wh.")
	d, ok := l.real(d, !white)
	if !ok {
		return
	}
	if base == opaqueMarker {
		l.opaque[d] = true
		return
	}
	if white {
		l.hidden[path.Join(d, hides)] = true
		return
	}
	name := path.Join(d, base)
	o := &object{kind: "file", text: e.body + e.link, mode: e.mode}
	switch e.typ {
	case '5':
		o.kind = "dir"
		delete(l.links, name)
		delete(l.implied, name)
		l.own[name] = o
		return
	case '2':
		o.kind = "link"
	case '1':
		_, t := l.get(e.link)
		if t == nil {
			l.replace(name)
			l.links[name] = e.link
			return
		}
		if t.kind == "dir" {
			return
		}
		o = t
	}
	l.replace(name)
	l.own[name] = o
}

// finish finds the targets of hard links that came later. A link to a link that
// leads to a lower layer leads there, too.
func (l *modelLayer) finish() {
	found := map[string]*object{}
	for name := range l.links {
		target := l.links[name]
		for range 40 {
			place, o := l.get(target)
			if o != nil && o.kind != "dir" {
				found[name] = o
			}
			next, ok := l.links[place]
			if o != nil || !ok {
				break
			}
			target = next
		}
		l.final[name] = target
	}
	for name, o := range found {
		l.own[name] = o
		delete(l.final, name)
	}
}

// replace removes p with all in it, marks included.
func (l *modelLayer) replace(p string) {
	l.own.remove(p, true)
	delete(l.links, p)
	delete(l.implied, p)
	below := func(q string, _ bool) bool { return strings.HasPrefix(q, p+"/") }
	maps.DeleteFunc(l.hidden, below)
	maps.DeleteFunc(l.opaque, below)
	delete(l.opaque, p)
	maps.DeleteFunc(l.links, func(q, _ string) bool { return strings.HasPrefix(q, p+"/") })
	maps.DeleteFunc(l.implied, below)
}

// apply is what docs/semantics.md says, by the letter: names, then whiteouts.
func (m model) apply(entries []ent) model {
	l := modelLayer{own: model{}, implied: map[string]bool{}, hidden: map[string]bool{}, opaque: map[string]bool{}, links: map[string]string{}, final: map[string]string{}}
	for _, e := range entries {
		l.add(e)
	}
	l.finish()
	for name, target := range l.final {
		if t := m[target]; t != nil && t.kind != "dir" {
			l.own[name] = t
		}
	}
	out := maps.Clone(m)
	for p := range l.hidden {
		out.remove(p, true)
	}
	for p := range l.opaque {
		switch {
		case p == "":
			clear(out)
		case out.isDir(p):
			out.remove(p, false)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(l.own)) { // parents first
		o := l.own[p]
		if o.kind == "dir" && out.isDir(p) {
			if !l.implied[p] {
				out[p] = o
			}
			continue
		}
		out.remove(p, true)
		out[p] = o
	}
	return out
}

func (m model) list() []string {
	names := map[*object]int{}
	for _, o := range m {
		names[o]++
	}
	var lines []string
	for p, o := range m {
		line := fmt.Sprintf("%s %s %q %o", p, o.kind, o.text, o.mode)
		if o.kind != "dir" {
			line += fmt.Sprint(" #", names[o])
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// listAs shows an index as model.list does.
func listAs(x *Index, text func(Hash) string) []string {
	var lines []string
	for d := range Ino(x.Len()) {
		for k := range x.Children(d) {
			name, i := x.Child(d, k)
			a := x.Attr(i)
			p := strings.TrimPrefix(path.Join(x.Path(d), name), "/")
			var kind, s string
			switch a.Mode & ModeType {
			case ModeDir:
				kind = "dir"
			case ModeSymlink:
				kind, s = "link", x.Readlink(i)
			default:
				kind, s = "file", contentOf(x, i, text)
			}
			line := fmt.Sprintf("%s %s %q %o", p, kind, s, a.Mode&0o7777)
			if kind != "dir" {
				line += fmt.Sprint(" #", a.Nlink)
			}
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

// randomLayer makes entries over very few names, so that they collide: links
// are used as directories, hard links come before their targets or lead to
// lower layers, and marks stand anywhere.
func randomLayer(r *rand.Rand) []ent {
	name := func() string {
		parts := make([]string, 1+r.IntN(3))
		for i := range parts {
			parts[i] = string("abc"[r.IntN(3)])
		}
		return strings.Join(parts, "/")
	}
	var entries []ent
	for range r.IntN(12) {
		var e ent
		switch n := name(); r.IntN(9) {
		case 0, 1, 2:
			e = file(n, fmt.Sprint("content ", r.IntN(5)))
		case 3, 4:
			e = dir(n)
		case 5:
			e = symlink(n, []string{"", "/", "../", "../../", "./"}[r.IntN(5)]+name())
		case 6:
			e = hardlink(n, name())
		case 7:
			d, b := path.Split(n)
			e = file(d+".wh."+b, "")
		case 8:
			e = file(path.Join(n, opaqueMarker), "")
		}
		e.mode = 0o700 + r.Int64N(64)
		entries = append(entries, e)
	}
	return entries
}

func TestMergeAgainstModel(t *testing.T) {
	for seed := range uint64(1500) {
		r := rand.New(rand.NewPCG(seed, 1))
		want, sink := model{}, newMemory()
		var chain *Index
		for range 1 + r.IntN(4) {
			entries := randomLayer(r)
			s := roundTrip(t, tarOf(entries...))
			maps.Copy(sink.contents, s.sink.contents)
			chain = mergeOnto(t, chain, s.index)
			before := want
			want = want.apply(entries)
			if diff := sameLines(listAs(chain, sink.text), want.list()...); diff != "" {
				var log strings.Builder
				for _, e := range entries {
					fmt.Fprintf(&log, "\n\t%c %s %s", max(e.typ, '0'), e.name, e.link)
				}
				t.Fatalf("seed %d: %s\nbefore\n\t%s\nentries%s", seed, diff, strings.Join(before.list(), "\n\t"), log.String())
			}
			checkLinks(t, chain)
		}
	}
}
