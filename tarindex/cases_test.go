package tarindex

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An exactCase is one odd stream: what comes back, what it means, and how the
// tar programs of others read it. The stream is made of hand-made blocks
// (blocks_test.go), the answer by hand from docs/semantics.md.
type exactCase struct {
	name    string
	data    []byte
	tree    []string          // what the layer shows as a base, in any order
	warn    []string          // all warnings, whole
	refused string            // the whole error, if the stream is no layer
	kind    error             // what refused wraps
	differ  map[string]string // which of the tar programs extract something else, and why
}

// exactCases are all cases, by what they are about.
func exactCases() map[string][]exactCase {
	return map[string][]exactCase{
		"end":     endCases(),
		"name":    nameCases(),
		"link":    linkCases(),
		"type":    typeCases(),
		"size":    sizeCases(),
		"pax":     paxCases(),
		"format":  formatCases(),
		"number":  numberCases(),
		"sparse":  sparseCases(),
		"garbled": garbledCases(),
	}
}

// Every stream that a tar program can read comes back byte for byte, and means
// what docs/semantics.md says.
func TestExact(t *testing.T) {
	for group, cases := range exactCases() {
		for _, tc := range cases {
			t.Run(group+"/"+tc.name, func(t *testing.T) {
				if tc.refused != "" {
					_, err := scanReader(t, bytes.NewReader(tc.data))
					if err == nil || err.Error() != tc.refused || !errors.Is(err, tc.kind) {
						t.Errorf("got\n\t%v\nwant\n\t%s", err, tc.refused)
					}
					return
				}
				s := roundTrip(t, tc.data)
				if s.DiffID != diffIDOf(tc.data) {
					t.Errorf("DiffID %s, want %s", s.DiffID, diffIDOf(tc.data))
				}
				if diff := sameSet(list(mergeLayers(t, s.index), s.sink.text), tc.tree); diff != "" {
					t.Error(diff)
				}
				if diff := sameLines(s.Warnings, tc.warn...); diff != "" {
					t.Errorf("warnings: %s", diff)
				}
			})
		}
	}
}

// tarPrograms extract the archive FILE into the directory that they are in.
var tarPrograms = map[string][]string{
	"gnu": {"env", "LC_ALL=C", "tar", "--no-same-owner", "--delay-directory-restore", "-xf", "FILE"},
	"bsd": {"env", "LC_ALL=C.UTF-8", "bsdtar", "--no-same-owner", "--no-xattrs", "-xf", "FILE"},
}

// The table is not only our opinion: GNU tar and bsdtar extract the same
// tree from the same bytes, but where the case says that they do not.
func TestExactAsOthersExtract(t *testing.T) {
	for name, command := range tarPrograms {
		for group, cases := range exactCases() {
			for _, tc := range cases {
				if tc.differ["all"] != "" {
					continue
				}
				t.Run(name+"/"+group+"/"+tc.name, func(t *testing.T) {
					t.Parallel()
					got, problem := extract(t, tc.data, command)
					want := tc.tree
					if tc.refused != "" {
						want = lines("refused")
					}
					diff := sameSet(got, want)
					why, differs := tc.differ[name]
					if differs != (diff != "") {
						t.Errorf("the table says that it differs: %v %q; %s\n%s", differs, why, diff, problem)
					}
				})
			}
		}
	}
}

// extract lists what a program extracts, in the form of list. It is "refused"
// if the program fails.
func extract(t *testing.T, data []byte, command []string) (found []string, problem string) {
	t.Helper()
	archive, root := filepath.Join(t.TempDir(), "tar"), t.TempDir()
	if err := os.WriteFile(archive, data, 0o600); err != nil {
		t.Fatal(err)
	}
	command = slices.Clone(command)
	command[len(command)-1] = archive
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = root
	out, failed := cmd.CombinedOutput()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		if d.IsDir() { // so that it can be read, and removed
			if err := os.Chmod(path, 0o700); err != nil {
				return err
			}
		}
		line, err := describeFile(path, strings.TrimPrefix(path, root+"/"))
		found = append(found, line)
		return err
	})
	if err != nil || failed != nil {
		found = lines("refused")
	}
	return found, fmt.Sprintf("%s%v", out, err)
}

// describeFile is a line of list for a file of the host.
func describeFile(path, name string) (string, error) {
	st, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	line := name
	switch st.Mode().Type() {
	case fs.ModeDir:
		return name + "/", nil
	case fs.ModeSymlink:
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		line += " -> " + target
	case fs.ModeNamedPipe:
		line += " fifo"
	case 0:
		data, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return "", err
		}
		line += "=" + shorten(data)
	default:
		line += " " + st.Mode().Type().String()
	}
	if n := linksOf(st); n > 1 {
		line += fmt.Sprintf(" #%d", n)
	}
	return line, nil
}

// lines are the arguments, for short tables.
func lines(l ...string) []string { return l }

// dirsOf lists the directories of a path.
func dirsOf(path string) (dirs []string) {
	for i := range len(path) {
		if path[i] == '/' {
			dirs = append(dirs, path[:i+1])
		}
	}
	return dirs
}

// peers is what differs, by program: "gnu", "bsd" or both.
func peers(pairs ...string) map[string]string {
	m := map[string]string{}
	for pair := range slices.Chunk(pairs, 2) {
		for _, peer := range strings.Fields(pair[0]) {
			m[peer] = pair[1]
		}
	}
	return m
}
