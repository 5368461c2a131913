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
