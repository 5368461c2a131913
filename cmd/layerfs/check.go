package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/store"
)

// problemRow is a store.Problem as JSON.
type problemRow struct {
	store.Problem
	Message string `json:"message"`
}

func newCheck(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check [--json]",
		Short: "Verify every content, index and record",
		Long: `Read the whole store and verify every content against its SHA-256, every index, every
record and every reference. Nothing is changed. Prints one line for each problem; the
exit code is 5 if there is one.`,
		Example: `  layerfs check
  layerfs check --json | jq -r '.[].message'`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			problems := []problemRow{}
			bar := a.progress("check", 0)
			err = s.Check(cmd.Context(), bar.set, func(p store.Problem) {
				problems = append(problems, problemRow{p, p.Err.Error()})
			})
			bar.end()
			if err != nil {
				return err
			}
			if asJSON {
				err = a.json(problems)
			} else {
				err = a.problems(problems)
			}
			if err != nil || len(problems) == 0 {
				return err
			}
			return fmt.Errorf("%d problems: %w; what is named above has to be imported again or removed", len(problems), store.ErrCorrupt)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) problems(problems []problemRow) error {
	for _, p := range problems {
		if err := a.line("%s", p.Problem); err != nil {
			return err
		}
	}
	if len(problems) == 0 {
		a.note("the store is whole")
	}
	return nil
}
