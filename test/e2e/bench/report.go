package main

import (
	"context"
	"fmt"
	"io"
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
	Side    string   `json:"side"`
	Value   float64  `json:"median"`
	Ratio   float64  `json:"ratio,omitempty"`     // to the table's reference side
	OfIt    float64  `json:"layerfsIs,omitempty"` // layerfs in parts of this side
	Goal    float64  `json:"goal,omitempty"`      // what OfIt is to be at most
	CPU     float64  `json:"cpuSeconds"`
	Peak    int64    `json:"peakBytes,omitempty"`
	Samples []sample `json:"samples"`
}

func (r *report) note(format string, args ...any) {
	text := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	if !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
}

// describe fills in where and with what the run is done.
func (r *report) describe(b *bench) {
	r.Mode = b.mode
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
		r.Programs["podman"] = ask("podman", "--version")
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
			cl.Ratio, _ = o.ratio(phase, side, c.reference)
			cl.CPU, _ = median(o.values(phase, side, func(s sample) float64 { return s.CPU }))
			for _, s := range cl.Samples {
				cl.Peak = max(cl.Peak, s.Peak)
			}
			if side != us {
				cl.OfIt, _ = o.ratio(phase, us, side)
			}
			for _, g := range c.goals {
				if g.phase == phase && g.side == side {
					cl.Goal = g.most
				}
			}
			row.Cells = append(row.Cells, cl)
		}
		r.Rows = append(r.Rows, row)
	}
}

func (r *report) writeJSON(file string) error { return writeJSON(file, r) }

// text prints the report for people. Errors of w are nobody's to handle: it is the terminal.
func (r *report) text(w io.Writer) {
	fmt.Fprintf(w, "layerfs benchmark, %s form, %s, %.0f s\n", r.Mode, r.Started.Format("2006-01-02 15:04"), r.Seconds)
	m := r.Machine
	fmt.Fprintf(w, "Linux %s, %d CPUs, %d MB, %s, as %s, load average %s before and %s after\n",
		m.Kernel, m.CPUs, m.MemoryMB, m.FileSystem, m.User, m.LoadBefore, m.LoadAfter)
	for _, name := range sortedKeys(r.Programs) {
		fmt.Fprintf(w, "%s: %s\n", name, r.Programs[name])
	}
	for _, in := range r.Inputs {
		fmt.Fprintf(w, "input %s: %d files, %d layers, %.1f MB\n", in.Name, in.Files, in.Layers, float64(in.Bytes)/1e6)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	table := ""
	for _, row := range r.Rows {
		if row.Table != table {
			table = row.Table
			fmt.Fprintf(w, "\n%s\n", strings.ToUpper(table))
			fmt.Fprintf(w, "%-42s %-24s %10s %-7s %6s %8s %7s   %s\n",
				"", "", "median", "", "ratio", "CPU s", "peak MB", "layerfs is")
		}
		row.text(w)
	}
	r.goals(w)
}

func (r row) title() string {
	if r.Phase == "" {
		return r.Work
	}
	return r.Work + ", " + r.Phase
}

func (r row) text(w io.Writer) {
	title := r.title()
	for _, c := range r.Cells {
		fmt.Fprintf(w, "%-42s %-24s %10s %-7s %6s %8.2f %7s   %s\n",
			title, c.Side, figure(c.Value), r.Unit, share(c.Ratio), c.CPU, size10(c.Peak), c.verdict())
		title = ""
	}
}

// verdict is what layerfs is in parts of this side, and what it should be.
func (c cell) verdict() string {
	switch {
	case c.OfIt == 0:
		return ""
	case c.Goal == 0:
		return share(c.OfIt) + " of it"
	case c.met():
		return fmt.Sprintf("%s of it, goal %v: met", share(c.OfIt), c.Goal)
	default:
		return fmt.Sprintf("%s of it, goal %v: MISSED", share(c.OfIt), c.Goal)
	}
}

func (c cell) met() bool { return c.OfIt <= c.Goal }

// goals counts, and lists what was missed.
func (r *report) goals(w io.Writer) {
	met := 0
	var missed []string
	for _, row := range r.Rows {
		for _, c := range row.Cells {
			switch {
			case c.Goal == 0 || c.OfIt == 0:
			case c.met():
				met++
			default:
				missed = append(missed, fmt.Sprintf("  %s: %s of %s, goal %v", row.title(), share(c.OfIt), c.Side, c.Goal))
			}
		}
	}
	if met+len(missed) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%d of %d goals met\n", met, met+len(missed))
	for _, line := range missed {
		fmt.Fprintln(w, line)
	}
}

// figure has three digits that count.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.4f", v)
	}
}

func share(v float64) string {
	switch {
	case v == 0:
		return ""
	case v >= 10:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func size10(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", float64(bytes)/1e6)
}
