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
	links                   map[string]string // to lower layers
}

// parents makes the directories above p; false if one is a file.
func (l *modelLayer) parents(p string, make bool) bool {
	for i := range len(p) {
		if p[i] != '/' {
			continue
		}
		d := p[:i]
		_, link := l.links[d]
		if link || l.own[d] != nil && l.own[d].kind != "dir" {
			return false
		}
		if l.own[d] == nil && make {
			l.own[d], l.implied[d] = &object{kind: "dir", mode: 0o755}, true
		}
	}
	return true
}

func (l *modelLayer) add(e ent) {
	d, base := path.Split(e.name)
	d = strings.TrimSuffix(d, "/")
	if base == opaqueMarker {
		if l.parents(e.name, false) {
			l.opaque[d] = true
		}
		return
	}
	if w, ok := strings.CutPrefix(base, ".wh."); ok {
		if l.parents(e.name, false) {
			l.hidden[path.Join(d, w)] = true
		}
		return
	}
	if !l.parents(e.name, true) {
		return
	}
	o := &object{kind: "file", text: e.body + e.link, mode: e.mode}
	switch e.typ {
	case '5':
		o.kind = "dir"
		delete(l.links, e.name)
		delete(l.implied, e.name)
		l.own[e.name] = o
		return
	case '2':
		o.kind = "link"
	case '1':
		t := l.own[e.link]
		if t == nil {
			l.replace(e.name)
			l.links[e.name] = e.link
			return
		}
		if t.kind == "dir" {
			return
		}
		o = t
	}
	l.replace(e.name)
	l.own[e.name] = o
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
	l := modelLayer{own: model{}, implied: map[string]bool{}, hidden: map[string]bool{}, opaque: map[string]bool{}, links: map[string]string{}}
	for _, e := range entries {
		l.add(e)
	}
	for name, target := range l.links {
		if t := m[target]; t != nil && t.kind != "dir" && l.parents(name, false) {
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

// randomLayer makes entries over very few names, so that they collide. No
// symbolic link has a name that is used as a directory.
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
			e = symlink(n+"s", "t")
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
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		want, sink := model{}, newMemory()
		var chain *Index
		for range 1 + r.IntN(4) {
			entries := randomLayer(r)
			if forward(entries) {
				continue
			}
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

// forward reports whether a hard link's target comes after it: TestMeaning has
// these, the model does not.
func forward(entries []ent) bool {
	for i, e := range entries {
		if e.typ != '1' {
			continue
		}
		for _, f := range entries[i:] {
			if f.name == e.link || strings.HasPrefix(f.name, e.link+"/") {
				return true
			}
		}
	}
	return false
}
