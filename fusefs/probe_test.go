package fusefs

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// A probe stands between the kernel and raw. It counts requests, and a lookup
// of one of its names makes it act.
type probe struct {
	fuse.RawFileSystem
	report string

	mu     sync.Mutex
	counts map[string]int
}

const (
	panicName  = ".probe-panic"  // panics
	reportName = ".probe-report" // and anything behind it: writes the counts down and begins anew
)

func (p *probe) count(op string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.counts == nil {
		p.counts = map[string]int{}
	}
	p.counts[op]++
}

func (p *probe) Lookup(c <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	if name == panicName {
		panic("a programming error")
	}
	if !strings.HasPrefix(name, reportName) {
		p.count("lookup")
		return p.RawFileSystem.Lookup(c, h, name, out)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	text, err := json.Marshal(p.counts)
	if err == nil {
		err = os.WriteFile(p.report, text, 0o600)
	}
	if err != nil {
		panic(err)
	}
	p.counts = nil
	return fuse.ENOENT
}

func (p *probe) GetAttr(c <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	p.count("getattr")
	return p.RawFileSystem.GetAttr(c, in, out)
}

func (p *probe) Open(c <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	p.count("open")
	return p.RawFileSystem.Open(c, in, out)
}

func (p *probe) OpenDir(c <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	p.count("opendir")
	return p.RawFileSystem.OpenDir(c, in, out)
}

func (p *probe) Read(c <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	p.count("read")
	return p.RawFileSystem.Read(c, in, buf)
}

func (p *probe) Write(c <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	p.count("write")
	return p.RawFileSystem.Write(c, in, data)
}

func (p *probe) ReadDir(c <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	p.count("readdir")
	return p.RawFileSystem.ReadDir(c, in, out)
}

func (p *probe) ReadDirPlus(c <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	p.count("readdirplus")
	return p.RawFileSystem.ReadDirPlus(c, in, out)
}

func (p *probe) Create(c <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	p.count("create")
	return p.RawFileSystem.Create(c, in, name, out)
}

func (p *probe) Access(c <-chan struct{}, in *fuse.AccessIn) fuse.Status {
	p.count("access")
	return p.RawFileSystem.Access(c, in)
}

func (p *probe) Flush(c <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	p.count("flush")
	return p.RawFileSystem.Flush(c, in)
}

func (p *probe) GetXAttr(c <-chan struct{}, in *fuse.InHeader, name string, dest []byte) (uint32, fuse.Status) {
	p.count("getxattr " + name)
	return p.RawFileSystem.GetXAttr(c, in, name, dest)
}

var reports int

// requests are those since the last call.
func (u *union) requests() map[string]int {
	u.t.Helper()
	reports++
	if exists(u.at(fmt.Sprint(reportName, reports))) {
		u.t.Fatal("the probe answers its own name")
	}
	text, err := os.ReadFile(u.path("requests"))
	check(u.t, err)
	var counts map[string]int
	check(u.t, json.Unmarshal(text, &counts))
	return counts
}

// TestQuiet counts the requests of work that the kernel can do by itself: with
// any other choice of those in doc.go some of the numbers are not 0.
func TestQuiet(t *testing.T) {
	const files = 50
	lower := []file{dir("d")}
	for i := range files {
		lower = append(lower, regular(fmt.Sprintf("d/%02d", i), random(5000)))
	}
	u := mount(t, "", lower...)
	u.write("warm", "the requests which the kernel asks once and never again")
	u.names(".")
	u.requests()

	readAll := func() {
		for i := range files {
			u.read(fmt.Sprintf("d/%02d", i))
		}
	}
	list := func() {
		if n := len(u.names("d")); n != files {
			t.Errorf("%d names", n)
		}
	}
	stat := func() {
		for i := range files {
			u.stat(fmt.Sprintf("d/%02d", i))
		}
	}
	list() // the first brings all attributes
	first := u.requests()
	if first["readdirplus"] == 0 || first["readdir"]+first["opendir"]+first["getattr"] != 0 {
		t.Errorf("the first listing cost %v", first)
	}
	stat()
	if got := u.requests(); len(got) != 0 {
		t.Errorf("looking at what was listed cost %v", got)
	}
	readAll()
	first = u.requests()
	if first["read"] != files || first["open"]+first["flush"]+first["lookup"] != 0 {
		t.Errorf("the first reading of %d files cost %v", files, first)
	}
	for name, work := range map[string]func(){
		"reading again": readAll,
		"listing again": list,
		"a missing name": func() {
			exists(u.at("d/none"))
			u.requests()
			exists(u.at("d/none"))
		},
		"reading what was just written": func() {
			page := random(4096)
			u.write("warm", page)
			u.requests()
			u.want("warm", page)
		},
	} {
		work() // after reading, one GETATTR may ask for the atime
		u.requests()
		work()
		got := u.requests()
		delete(got, "getattr")
		if len(got) != 0 {
			t.Errorf("%s cost %v", name, got)
		}
	}

	f := u.open("big", os.O_CREATE|os.O_WRONLY)
	u.requests()
	for range 100 {
		_, err := f.WriteString("a line of text\n")
		check(t, err)
	}
	got := u.requests()
	if got["write"] != 100 || got["getxattr security.capability"] > 1 || got["getattr"] > 1 {
		t.Errorf("100 writes cost %v", got)
	}
}
