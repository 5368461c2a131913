package main

import (
	"fmt"
	"path"
)

// nodeLike is an application on the official image of Node: Debian, Node with npm, its package.json, n small files of
// node_modules in a layer, its sources.
func nodeLike(host map[string][]file, n int, limit int64) [][]file {
	layers := dockerfile(host, nodeBase, n/10, limit)
	npm := nodeModules("usr/local/lib/node_modules/npm", n/50)
	var sources []file
	for i := range n / 500 {
		name := fmt.Sprintf("app/src/module-%d.js", i)
		sources = append(sources, textFile(name, min(spread(name, 3000, 1.2), limit)))
	}
	return append(layers,
		append(npm, binary("usr/local/bin/node", min(90<<20, 4*limit))),
		[]file{textFile("app/package.json", 3000), textFile("app/package-lock.json", min(int64(8*n), limit))},
		nodeModules("app", n),
		sources,
	)
}

// nodeModules is n files as npm puts them below dir: many packages of few files and some of many, text of 2 KB in the
// middle and 6.5 KB on average, four files to a folder. The sizes are those of npm's own dependencies. A sixth of the
// packages stands in another one's node_modules, as a second copy of one that is elsewhere, too; licences repeat.
func nodeModules(dir string, n int) []file {
	var files []file
	var homes []string // of the packages so far
	for p := 0; len(files) < n; p++ {
		which, parent := p, dir
		if p > 10 && scatter(fmt.Sprint("copy ", p), 6) == 0 {
			which = scatter(fmt.Sprint("of ", p), p)
			parent = homes[scatter(fmt.Sprint("in ", p), p)]
		}
		home := path.Join(parent, "node_modules", packageName(which))
		homes = append(homes, home)
		files = append(files, nodePackage(dir, home, which, n-len(files))...)
	}
	return unique(files)
}

func packageName(p int) string {
	if p%4 == 0 {
		return fmt.Sprintf("@scope-%02d/package-%04d", p%40, p)
	}
	return fmt.Sprintf("package-%04d", p)
}

// nodePackage is at most so many files of a package. Their contents follow from the tree and the package alone.
func nodePackage(tree, home string, which, most int) []file {
	contents := fmt.Sprintf("%s %d ", tree, which)
	add := func(name, contents string, size int64) file {
		return file{path: path.Join(home, name), mode: 0o644, size: size, open: prose(contents, size)}
	}
	licence := fmt.Sprint("licence ", which%20)
	files := []file{
		add("package.json", contents+"package.json", 800+spread(contents+"package.json", 700, 0.5)),
		add("LICENSE", licence, 1000+spread(licence, 100, 1)),
		add("README.md", contents+"README.md", min(spread(contents+"README.md", 3000, 1.2), 1<<20)),
	}
	folders := []string{"", "lib", "dist/cjs", "dist/esm", "lib/internal", "src/utils"}
	kinds := []string{"js", "d.ts", "js.map", "js", "json", "js", "md"}
	for i := range spread(contents+"files", 15, 1.4) {
		folder := folders[i/4%6]
		if i >= 24 {
			folder = fmt.Sprintf("%s/part-%d", folder, i/24)
		}
		name := path.Join(folder, fmt.Sprintf("module-%d.%s", i, kinds[i%7]))
		files = append(files, add(name, contents+name, min(spread(contents+name, 1900, 1.5), 1<<20)))
	}
	return files[:min(len(files), most)]
}

// unique leaves out names that are there already.
func unique(files []file) []file {
	seen := make(map[string]bool, len(files))
	var kept []file
	for _, f := range files {
		if !seen[f.path] {
			seen[f.path] = true
			kept = append(kept, f)
		}
	}
	return kept
}
