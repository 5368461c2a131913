package tarindex

// A stream can name the same file again and again, or fill a directory and put
// a file in its place. Then most of the tree is nodes and entries that nothing
// reaches, and its memory grows with the stream instead of with the index. So a
// tree counts what it loses, and is made anew when that is a third of it.

// wasteMin is the number of lost nodes that are not worth the work.
const wasteMin = 16 << 10

// wasteful reports whether compact would free much. A node with several names
// counts as lost with each: then compact comes early, which does no harm, since
// it never comes without as many losses as it has work.
func (t *tree) wasteful() bool {
	return t.dead > wasteMin && t.dead > (len(t.nodes)+len(t.hidden))/3
}

// weight returns the number of nodes and whiteouts that are lost when a name of n is given to
// another node.
func (t *tree) weight(n int32) int {
	lost := 1
	if !t.nodes[n].isDir() {
		return lost
	}
	for dirs := []int32{n}; len(dirs) > 0; {
		dir := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		lost += int(t.nodes[dir].hidden)
		for e := t.nodes[dir].first; e != none; e = t.entries[e].next {
			lost++
			if below := t.entries[e].node; t.nodes[below].isDir() {
				dirs = append(dirs, below)
			}
		}
	}
	return lost
}

// compact makes the tree anew, of what its root reaches. Numbers of nodes and
// entries that somebody holds are not valid afterwards.
func (t *tree) compact() {
	fresh := &tree{
		byName: make(map[nameKey]int32),
		hidden: make(map[nameKey]bool),
	}
	number := make([]int32, len(t.nodes)) // in the new tree, plus one
	take := func(old, up int32) int32 {
		if number[old] == 0 {
			n := t.nodes[old]
			n.up, n.first = up, none
			fresh.nodes = append(fresh.nodes, n)
			fresh.strings += int64(len(n.target) + len(n.xattrs))
			number[old] = int32(len(fresh.nodes))
		}
		return number[old] - 1
	}
	take(int32(Root), int32(Root))
	for dirs := []int32{int32(Root)}; len(dirs) > 0; {
		old := dirs[0]
		dirs = dirs[1:]
		dir := number[old] - 1
		for e := t.nodes[old].first; e != none; e = t.entries[e].next {
			from := t.entries[e]
			if t.nodes[from.node].isDir() {
				dirs = append(dirs, from.node)
			}
			to := entry{name: from.name, dir: dir, node: take(from.node, dir), next: fresh.nodes[dir].first}
			fresh.byName[nameKey{dir, from.name}] = int32(len(fresh.entries))
			fresh.nodes[dir].first = int32(len(fresh.entries))
			fresh.entries = append(fresh.entries, to)
			fresh.strings += int64(len(from.name))
		}
	}
	for key := range t.hidden {
		if dir := number[key.dir]; dir != 0 {
			fresh.hidden[nameKey{dir - 1, key.name}] = true
			fresh.strings += int64(len(key.name))
		}
	}
	fresh.limits, fresh.through = t.limits, t.through
	*t = *fresh
}
