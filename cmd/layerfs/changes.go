package main

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/store"
	"github.com/layerfs/layerfs/unionfs"
)

func newChanges(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "changes [--json] NAME",
		Short: "List what was changed in an RW layer",
		Long: `List what was changed in an RW layer, mounted or not: A added, C changed, D deleted.
It is exactly what diff writes. A path with control characters, quotes or bytes that
are not UTF-8 is printed as a Go string in double quotes.`,
		Example: `  layerfs changes work
  layerfs changes work | grep '^D'
  layerfs changes --json work | jq -r '.[].path'`,
		Args:              exactly(1),
		ValidArgsFunction: a.complete(rwNames),
		RunE: func(_ *cobra.Command, args []string) error {
			s, done, err := a.use()
			if err != nil {
				return err
			}
			defer done()
			return lookAgain(s, args[0], func(_ *store.RW, fs *unionfs.FS) error { return a.changes(fs, asJSON) })
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// changeRow is one line of changes as JSON.
type changeRow struct {
	Kind       string `json:"kind"` // A, C or D
	Path       string `json:"path"`
	PathBase64 string `json:"pathBase64,omitempty"` // the exact bytes, where Path cannot hold them
}

func (a *app) changes(fs *unionfs.FS, asJSON bool) error {
	rows := []changeRow{}
	err := fs.Changes(func(c unionfs.Change) error {
		if !asJSON {
			return a.line("%c %s", c.Kind, printable(c.Path))
		}
		row := changeRow{Kind: string(rune(c.Kind)), Path: c.Path}
		if !utf8.ValidString(c.Path) {
			row.PathBase64 = base64.StdEncoding.EncodeToString([]byte(c.Path))
		}
		rows = append(rows, row)
		return nil
	})
	if err != nil || !asJSON {
		return err
	}
	return a.json(rows)
}

// printable keeps one path on one line, and a terminal safe from what is in it.
func printable(path string) string {
	unsafe := func(r rune) bool { return r == utf8.RuneError || r == '"' || !strconv.IsPrint(r) }
	if strings.ContainsFunc(path, unsafe) {
		return strconv.Quote(path)
	}
	return path
}
