package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/internal/doctor"
)

func newDoctor(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor [--json]",
		Short: "Explain what this machine can do and how to fix the rest",
		Long: `Try everything that layerfs needs of this machine and of the file system of its
store, and say how to get what is missing. Nothing is changed and nothing is left behind.
A warning costs speed or one feature; only a failure makes the exit code 1.`,
		Example: `  layerfs doctor
  layerfs --root /scratch/me doctor
  layerfs doctor --json`,
		Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			root, err := a.storeRoot()
			if err != nil {
				return err
			}
			findings := doctor.Examine(root)
			if asJSON {
				err = a.json(findings)
			} else {
				err = a.findings(findings)
			}
			if err != nil {
				return err
			}
			for _, f := range findings {
				if f.Status == doctor.Fail {
					return errors.New("this machine cannot do the main job yet; see the lines marked fail")
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) findings(findings []doctor.Finding) error {
	for _, f := range findings {
		if err := a.line("%-4s  %s: %s", f.Status, f.Name, f.Detail); err != nil {
			return err
		}
		if f.Fix == "" {
			continue
		}
		if err := a.line("      -> %s", f.Fix); err != nil {
			return err
		}
	}
	return nil
}
