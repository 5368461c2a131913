package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A report is all that a run has found, as it is written to JSON.
type report struct {
	Mode     string            `json:"mode"`
	Rounds   int               `json:"rounds"` // at most
	Started  time.Time         `json:"started"`
	Seconds  float64           `json:"seconds"`
	Machine  machine           `json:"machine"`
	Programs map[string]string `json:"programs"`
	Inputs   []inputInfo       `json:"inputs"`
	Rows     []row             `json:"rows"`
	Notes    []string          `json:"notes"`
}

type machine struct {
	Kernel     string `json:"kernel"`
	CPUs       int    `json:"cpus"`
	MemoryMB   int64  `json:"memoryMB"`
	FileSystem string `json:"fileSystem"`
	User       string `json:"user"`
	Dropped    bool   `json:"cachesDropped"`
	LoadBefore string `json:"loadBefore"`
	LoadAfter  string `json:"loadAfter"`
}

type inputInfo struct {
	Name   string `json:"name"`
	Files  int    `json:"files"`
	Layers int    `json:"layers"`
	Bytes  int64  `json:"bytes"`
	Gzip   int64  `json:"gzipBytes,omitempty"` // the same with gzip, if a contest needed that
}

// A row is one phase of one contest.
type row struct {
	Table string `json:"table"`
	Work  string `json:"work"`
	Phase string `json:"phase,omitempty"`
	Unit  string `json:"unit"`
	Cells []cell `json:"cells"`
}

// A cell is one side in a row. Value is in the row's unit; the other figures, as those of its samples, in seconds
// and bytes.
type cell struct {
	Side    string    `json:"side"`
	Value   float64   `json:"median"`
	Ratio   float64   `json:"ratio,omitempty"`     // to the table's reference side
	OfIt    float64   `json:"layerfsIs,omitempty"` // layerfs in parts of this side
	Goals   []verdict `json:"goals,omitempty"`     // against this side; in layerfs' own cell, on its figures
	CPU     float64   `json:"cpuSeconds"`
	Peak    int64     `json:"peakBytes,omitempty"`
	Samples []sample  `json:"samples"`
}

func (r *report) note(format string, args ...any) {
	text := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	if !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
}

// compressed notes how big an input is with gzip.
func (r *report) compressed(name string, blobs []string) {
	for i := range r.Inputs {
		if in := &r.Inputs[i]; in.Name == name {
			in.Gzip = 0
			for _, blob := range blobs {
				if info, err := os.Stat(blob); err == nil {
					in.Gzip += info.Size()
				}
			}
		}
	}
}

// describe fills in where and with what the run is done.
func (r *report) describe(b *bench) {
	r.Mode, r.Rounds = b.mode, b.rounds
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		r.Machine.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	memory, _ := os.ReadFile("/proc/meminfo")
	r.Machine.CPUs, r.Machine.MemoryMB = runtime.NumCPU(), statusBytes(string(memory), "MemTotal")>>20
	r.Machine.User = map[bool]string{true: "root", false: "plain user"}[b.root]
	r.Machine.Dropped, r.Machine.LoadBefore = b.drop, loadAverage()
	ask := func(name string, args ...string) string {
		text, err := b.do(context.Background(), name, args...)
		if err != nil {
			return "unknown"
		}
		line, _, _ := strings.Cut(text, "\n")
		return line
	}
	r.Machine.FileSystem = ask("stat", "-f", "-c", "%T", b.dir)
	r.Programs = map[string]string{"layerfs": ask(b.layerfs, "version")}
	if b.fuseOverlayfs != "" {
		text, _ := b.do(context.Background(), b.fuseOverlayfs, "--version")
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "fuse-overlayfs") {
				r.Programs[fuseOverlay] = strings.TrimSpace(line)
			}
		}
	}
	if b.podman != nil {
		r.Programs["podman"] = ask("podman", "--version") + ", " + b.podman.driver
	}
	if b.has("umoci") {
		r.Programs["umoci"] = ask("umoci", "--version")
	}
}

func (r *report) finish() {
	r.Seconds = time.Since(r.Started).Seconds()
	r.Machine.LoadAfter = loadAverage()
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

// add makes rows of the outcome of a contest.
func (r *report) add(o *outcome) {
	c := o.contest
	for _, phase := range o.phases {
		row := row{Table: c.table, Work: c.work, Phase: phase, Unit: c.unit.name}
		for _, side := range o.sides {
			value, ok := o.median(phase, side)
			if !ok {
				continue
			}
			cl := cell{Side: side, Value: value, Samples: o.samples[key{phase, side}]}
			cl.Ratio, _ = o.ratio(c.unit.of, phase, side, c.reference)
			cl.CPU, _ = median(o.values(phase, side, func(s sample) float64 { return s.CPU }))
			for _, s := range cl.Samples {
				cl.Peak = max(cl.Peak, s.Peak)
			}
			if side != us {
				cl.OfIt, _ = o.ratio(c.unit.of, phase, us, side)
			}
			for _, g := range c.goals {
				if g.phase != phase || g.side != side {
					continue
				}
				if v, ok := o.judge(g); ok {
					cl.Goals = append(cl.Goals, v)
				}
			}
			row.Cells = append(row.Cells, cl)
		}
		r.Rows = append(r.Rows, row)
	}
}

func (r *report) writeJSON(file string) error { return writeJSON(file, r) }
