package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// groups is the table of commands, in the order of the help text. Each command is in a file of its name.
var groups = []struct {
	title    string
	commands []func(*app) *cobra.Command
}{
	{"Images and layers", []func(*app) *cobra.Command{
		newImport, newRegister, newImages, newLayers, newInspect, newTag, newRmi, newExport, newSave,
	}},
	{"Writable layers", []func(*app) *cobra.Command{
		newMount, newUmount, newCreate, newRm, newPs, newChanges, newDiff, newApply, newCommit,
	}},
	{"Upkeep", []func(*app) *cobra.Command{
		newGC, newCheck, newDf, newInfo, newDoctor, newVersion, newCompletion,
	}},
}

// manyArguments is the limit of commands that take any number of arguments.
const manyArguments = 1 << 20

// exactly wants n arguments; their names are in the usage line, which the error shows.
func exactly(n int) cobra.PositionalArgs { return between(n, n) }

// between wants min to max arguments.
func between(min, max int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < min:
			return usage(cmd, "needs %s", countArguments(min, max))
		case len(args) > max:
			return usage(cmd, "takes %s, not %q as well", countArguments(min, max), args[max])
		}
		return nil
	}
}

func countArguments(min, max int) string {
	switch {
	case max == 0:
		return "no argument"
	case max == manyArguments:
		return fmt.Sprintf("at least %d argument", min)
	case min != max:
		return fmt.Sprintf("%d to %d arguments", min, max)
	case max == 1:
		return "1 argument"
	default:
		return fmt.Sprintf("%d arguments", max)
	}
}
