package main

import (
	"fmt"
	"io"
	"strings"
)

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
		fmt.Fprintf(w, "input %s: %d files, %d layers, %.1f MB", in.Name, in.Files, in.Layers, float64(in.Bytes)/1e6)
		if in.Gzip > 0 {
			fmt.Fprintf(w, ", with gzip %.1f MB", float64(in.Gzip)/1e6)
		}
		fmt.Fprintln(w)
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
		row.text(w, r.Rounds)
	}
	r.goals(w)
}

func (r row) title() string {
	if r.Phase == "" {
		return r.Work
	}
	return r.Work + ", " + r.Phase
}

func (r row) text(w io.Writer, rounds int) {
	title := r.title()
	for _, c := range r.Cells {
		said := c.verdict()
		if n := len(c.Samples); n < rounds {
			said = strings.TrimSpace(fmt.Sprintf("%s (%d of %d rounds)", said, n, rounds))
		}
		fmt.Fprintf(w, "%-42s %-24s %10s %-7s %6s %8.2f %7s   %s\n",
			title, c.Side, figure(c.Value), r.Unit, share(c.Ratio), c.CPU, size10(c.Peak), said)
		title = ""
	}
}

// verdict is what layerfs is in parts of this side, and what it should be.
func (c cell) verdict() string {
	var parts []string
	if c.OfIt > 0 {
		parts = append(parts, share(c.OfIt)+" of it")
	}
	for _, v := range c.Goals {
		if v.Measure == elapsed.name {
			parts = append(parts, fmt.Sprintf("goal %v: %s", v.Most, v.word()))
		} else {
			parts = append(parts, fmt.Sprintf("%s %s, goal %v: %s", v.Measure, share(v.Reached), v.Most, v.word()))
		}
	}
	return strings.Join(parts, ", ")
}

// goals is the table of what was to be reached, at the end of the report.
func (r *report) goals(w io.Writer) {
	met, all := 0, 0
	var lines strings.Builder
	for _, row := range r.Rows {
		title := row.title()
		for _, c := range row.Cells {
			for _, v := range c.Goals {
				all++
				if v.met() {
					met++
				}
				against := "against " + c.Side
				if c.Side == us {
					against = "by itself"
				}
				fmt.Fprintf(&lines, "%-42s %-32s %-9s %8s %8v  %s\n", title, against, v.Measure, share(v.Reached), v.Most, v.word())
				title = ""
			}
		}
	}
	if all > 0 {
		fmt.Fprintf(w, "\n%d OF %d GOALS MET\n%-75s %-9s %8s %8s\n%s", met, all, "", "", "reached", "at most", &lines)
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
