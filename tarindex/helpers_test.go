package tarindex

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"
)

func diffIDOf(data []byte) digest.Digest { return digest.FromBytes(data) }

// runFilter returns what a program makes of data.
func runFilter(t testing.TB, data []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(data)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return out
}

// runIn runs a program in a directory and returns its output.
func runIn(t testing.TB, dir, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return out
}

// linksOf is the number of names of a file of the host.
func linksOf(st fs.FileInfo) int { return int(st.Sys().(*syscall.Stat_t).Nlink) }

// verifiedIndex is the index of a layer, as it is written and read again.
func verifiedIndex(t testing.TB, l *Layer) *Index {
	t.Helper()
	var out bytes.Buffer
	if err := l.WriteIndex(&out); err != nil {
		t.Fatal(err)
	}
	x, err := Parse(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Verify(); err != nil {
		t.Fatal(err)
	}
	return x
}
