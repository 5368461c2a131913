package main

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// whiteout is what the name of a whiteout begins with (OCI image-spec, layer.md, "Whiteouts").
const whiteout = ".wh."

// A stage is a layer of an image as a line of a Dockerfile makes it.
type stage struct {
	share  int    // of the image's files, in percent
	apt    bool   // installs packages
	big    int    // also brings so many programs of the biggest size, as compilers are
	lists  lists  // what it does with apt's lists of packages
	python bool   // has Python's files, as far as there are any
	under  string // puts its files into this folder
	links  string // only makes symlinks of other names to this file
}

// lists are the big files that `apt-get update` gets.
type lists int

const (
	noLists lists = iota
	leavesLists
	removesLists // in a layer of its own: whiteouts
)

// pythonStages are those of an application on the official image of Python: Debian, three times apt-get install,
// Python itself, links, pip, what the application requires, the application. A few layers have nearly everything, as in
// real images; it matters to those who unpack layers side by side.
var pythonStages = []stage{
	{share: 22, apt: true},
	{share: 4, apt: true, lists: leavesLists},
	{share: 10, apt: true, big: 1, lists: removesLists},
	{share: 30, apt: true, big: 4},
	{share: 2, apt: true},
	{share: 14, python: true},
	{links: "usr/local/bin/python3"},
	{share: 3, python: true},
	{share: 14, python: true},
	{share: 1, python: true, under: "app"},
}

// nodeBase are the layers below Node.
var nodeBase = []stage{{share: 60, apt: true}, {share: 10, apt: true}, {share: 30, apt: true}}

// dockerfile deals about want files of this machine out to the stages, directory by directory, and adds what the
// commands of each stage write besides.
func dockerfile(host map[string][]file, stages []stage, want int, limit int64) [][]file {
	var python, others []file
	for _, dir := range shuffledDirs(host) {
		if strings.Contains(dir+"/", "/python3") {
			python = append(python, host[dir]...)
		} else {
			others = append(others, host[dir]...)
		}
	}
	take := func(from *[]file, n int) []file {
		n = min(n, len(*from))
		taken := (*from)[:n]
		*from = (*from)[n:]
		return slices.Clone(taken)
	}
	var layers [][]file
	packages := 0
	for _, s := range stages {
		n := want * s.share / 100
		var layer []file
		if s.python {
			layer = take(&python, n)
		}
		layer = append(layer, take(&others, n-len(layer))...)
		for i := range layer {
			layer[i].path = path.Join(s.under, layer[i].path)
		}
		if s.apt {
			before := packages
			packages += 1 + n/60 // files a package, about
			layer = append(layer, dpkg(before, packages, limit)...)
		}
		for i := range s.big {
			layer = append(layer, binary(fmt.Sprintf("usr/libexec/gcc/x86_64-linux-gnu/%d/cc%d", len(layers), i), limit))
		}
		layer = append(layer, s.lists.files(limit)...)
		if s.links != "" {
			for _, name := range []string{"python", "pydoc", "idle", "python-config"} {
				layer = append(layer, file{path: path.Join(path.Dir(s.links), name), mode: fs.ModeSymlink | 0o777, link: path.Base(s.links)})
			}
		}
		layers = append(layers, layer)
	}
	return layers
}

// textFile is a file of text.
func textFile(name string, size int64) file {
	return file{path: name, mode: 0o644, size: size, open: prose(name, size)}
}

// dpkg is what the installation of packages leaves behind: files for each of them, and the tables that are written anew
// each time, longer by what is new.
func dpkg(before, packages int, limit int64) []file {
	var files []file
	for n := before; n < packages; n++ {
		for _, kind := range []string{"list", "md5sums", "postinst"} {
			name := fmt.Sprintf("var/lib/dpkg/info/package-%03d.%s", n, kind)
			files = append(files, textFile(name, min(spread(name, 1200, 1.3), limit)))
		}
	}
	for name, perPackage := range map[string]int{
		"var/lib/dpkg/status": 1100, "var/lib/dpkg/status-old": 1100, "var/log/dpkg.log": 900, "var/log/apt/term.log": 300,
		"var/cache/debconf/templates.dat": 500, "var/cache/ldconfig/aux-cache": 100, "etc/ld.so.cache": 100,
	} {
		files = append(files, textFile(name, int64(perPackage*packages)))
	}
	return files
}

func (l lists) files(limit int64) []file {
	var files []file
	for _, suite := range []string{"bookworm", "bookworm-updates", "bookworm-security"} {
		const dir = "var/lib/apt/lists/"
		name := "mirror.example.org_debian_dists_" + suite + "_main_Packages"
		switch {
		case l == leavesLists:
			files = append(files, textFile(dir+name, min(9<<20, limit)))
		case l == removesLists:
			files = append(files, file{path: dir + whiteout + name, mode: 0o644, open: noise("", 0)})
		}
	}
	return files
}

// binary is a program of so many bytes: half of it compresses.
func binary(name string, size int64) file {
	return file{path: name, mode: 0o755, size: size, open: func() (io.Reader, error) {
		data, err := noise(name, size/3)()
		if err != nil {
			return nil, err
		}
		code, err := prose(name, size-size/3)()
		return io.MultiReader(data, code), err
	}}
}
