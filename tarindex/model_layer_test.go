package tarindex

import (
	"maps"
	"path"
	"strings"
)

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
