// Package house holds no code, only the rule that the packages of this module import each other
// in one direction. It is a test, so that a wrong import fails the build.
package house

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/layerfs/layerfs/"

// below lists, for each part of the house, the parts it may import:
//
//	cmd -> fusefs -> unionfs -> tarindex
//	cmd -> image  -> store   -> tarindex
//
// Everyone may import internal/..., which itself knows only internal/...; but for its packages that are listed
// here, which are parts of their own.
var below = map[string][]string{
	"cmd":           {"fusefs", "unionfs", "image", "store", "tarindex"},
	"fusefs":        {"unionfs", "tarindex"},
	"unionfs":       {"tarindex"},
	"image":         {"store", "tarindex"},
	"store":         {"internal/pack", "tarindex"},
	"tarindex":      {},
	"internal":      {},
	"internal/pack": {"tarindex"},
	"test":          {"cmd", "fusefs", "unionfs", "image", "store", "tarindex"},
}

// only lists the parts that may import a package from outside. What a library must never do has no owner.
var only = map[string][]string{
	"github.com/hanwen/go-fuse":   {"fusefs"},
	"github.com/vbatts/tar-split": {"tarindex"},
	"github.com/spf13/cobra":      {"cmd"},
	"github.com/spf13/pflag":      {"cmd"},
	"github.com/sirupsen/logrus":  {"cmd", "fusefs"},
	"log":                         {},
	"log/slog":                    {},
}

func TestImportsPointOneWay(t *testing.T) {
	files := goFiles(t)
	for _, file := range files {
		part := partOf(file.path)
		allowed, known := below[part]
		if !known {
			t.Errorf("%s: %s/ is not part of the house; add it to the rule and to docs/architecture.md", file.path, part)
			continue
		}
		for _, path := range file.imports {
			if rest, ok := strings.CutPrefix(path, module); ok {
				target := partOf(rest)
				if target != part && target != "internal" && !slices.Contains(allowed, target) {
					t.Errorf("%s: %s may not import %s", file.path, part, path)
				}
				continue
			}
			for prefix, owners := range only {
				if (path == prefix || strings.HasPrefix(path, prefix+"/")) && !slices.Contains(owners, part) {
					t.Errorf("%s: %s is not for %s, only for %v", file.path, path, part, owners)
				}
			}
		}
	}
}

// partOf is the part of the house that a path inside the module belongs to.
func partOf(path string) string {
	first, rest, _ := strings.Cut(path, "/")
	second, _, _ := strings.Cut(rest, "/")
	if _, own := below[first+"/"+second]; own {
		return first + "/" + second
	}
	return first
}

type goFile struct {
	path    string // slash-separated, relative to the module root
	imports []string
}

// goFiles reads the imports of all Go files of the module, tests included and whatever their build tags.
func goFiles(t *testing.T) []goFile {
	t.Helper()
	root := "../.."
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("the module root is not where this test looks for it: %v", err)
	}
	var files []goFile
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		file := goFile{path: filepath.ToSlash(rel)}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			file.imports = append(file.imports, imported)
		}
		files = append(files, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 2 {
		t.Fatalf("found %d Go files; the walk is broken", len(files))
	}
	return files
}
