package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"
)

// listing is how a list is printed: as a table for people, as bare ids for $(...), as JSON for programs.
type listing struct {
	quiet, json bool
}

func (l *listing) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&l.quiet, "quiet", "q", false, "print only the names or ids")
	cmd.Flags().BoolVar(&l.json, "json", false, "print JSON")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if l.quiet && l.json {
			return usage(cmd, "-q and --json exclude each other")
		}
		return nil
	}
}

// column is one column of a table.
type column[T any] struct {
	head string
	cell func(T) string
}

// list prints items as l says. id is what -q prints.
func list[T any](a *app, l listing, items []T, id func(T) string, columns ...column[T]) error {
	switch {
	case l.json:
		if items == nil {
			items = []T{} // a list is never null
		}
		return a.json(items)
	case l.quiet:
		for _, item := range items {
			if err := a.line("%s", id(item)); err != nil {
				return err
			}
		}
		return nil
	default:
		return a.table(len(items), len(columns), func(row, col int) string {
			if row < 0 {
				return columns[col].head
			}
			return columns[col].cell(items[row])
		})
	}
}

// table prints rows under their heads, which are row -1.
func (a *app) table(rows, columns int, cell func(row, col int) string) error {
	w := tabwriter.NewWriter(a.out, 0, 8, 3, ' ', 0)
	for row := -1; row < rows; row++ {
		cells := make([]string, columns)
		for col := range cells {
			cells[col] = cell(row, col)
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// json prints v for programs: indented, names in camelCase, nothing escaped for HTML.
func (a *app) json(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// short is an id as people read it: 12 digits, enough to be found again.
func short(d digest.Digest) string {
	const digits = 12
	if d == "" {
		return "-"
	}
	if hex := d.Encoded(); len(hex) > digits {
		return hex[:digits]
	}
	return d.String()
}

// size is a number of bytes as people read it.
func size(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), -1
	for value >= 999.5 {
		value /= 1000
		unit++
	}
	if value < 9.95 {
		return fmt.Sprintf("%.1f %cB", value, units[unit])
	}
	return fmt.Sprintf("%.0f %cB", value, units[unit])
}

// when is a point in time as people read it.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// count is a number in a table.
func count(n int) string { return strconv.Itoa(n) }
