package main

import (
	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/store"
)

func newCompletion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a shell's completion script",
		Long:  "Print the script that completes commands, options, images and RW layers in a shell.\n`make install` puts it where the shells look.",
		Example: `  . <(layerfs completion bash)
  layerfs completion zsh > ~/.zfunc/_layerfs
  layerfs completion fish > ~/.config/fish/completions/layerfs.fish`,
		Args:      exactly(1),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return cmd.Root().GenBashCompletionV2(a.out, true)
			case "zsh":
				return cmd.Root().GenZshCompletion(a.out)
			case "fish":
				return cmd.Root().GenFishCompletion(a.out, true)
			default:
				return usage(cmd, "%q is not one of bash, zsh, fish", args[0])
			}
		},
	}
}

type completer = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// complete offers the names that the i-th source gives for the i-th argument, and files after the last.
func (a *app) complete(sources ...func(*store.Store) []string) completer {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= len(sources) {
			return nil, cobra.ShellCompDirectiveDefault
		}
		s, err := a.open()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		defer s.Close()
		return sources[len(args)](s), cobra.ShellCompDirectiveNoFileComp
	}
}

// The sources leave out what cannot be read: completion is a help, and the command itself tells what is wrong.

func imageNames(s *store.Store) (names []string) {
	images, _ := s.Images()
	for _, i := range images {
		names = append(names, i.Name)
	}
	return names
}

func rwNames(s *store.Store) (names []string) {
	rws, _ := s.RWs()
	for _, rw := range rws {
		names = append(names, rw.Name)
	}
	return names
}
