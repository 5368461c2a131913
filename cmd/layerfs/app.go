package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/layerfs/layerfs/store"
)

// app is what every command gets.
type app struct {
	in       io.Reader
	out, err io.Writer
	root     string // --root; "" means store.DefaultRoot
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "layerfs COMMAND",
		Short: "Container image layers and writable layers, without root",
		Long: `layerfs keeps container image layers and writable layers for people who have no root.
A layer tar goes in, is unpacked once, can be mounted read-write through a
copy-on-write union in userspace, and comes out again byte for byte.`,
		Example: `  layerfs import debian.tar
  layerfs mount --name work debian:12 ~/mnt
  layerfs changes work
  layerfs umount work
  layerfs commit work --tag my/debian:1`,
		Args:                  rootArgs,
		RunE:                  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		DisableFlagsInUseLine: true,
		SilenceErrors:         true,
		SilenceUsage:          true,
		CompletionOptions:     cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.PersistentFlags().StringVar(&a.root, "root", "",
		"directory of the store (default $LAYERFS_ROOT, else ~/.local/share/layerfs; for root /var/lib/layerfs)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%v", err) })
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title + ":"})
		for _, newCommand := range g.commands {
			cmd := newCommand(a)
			cmd.GroupID = g.title
			cmd.DisableFlagsInUseLine = true
			root.AddCommand(cmd)
		}
	}
	root.AddCommand(newDaemon(a))
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), "\n  {{.CommandPath}} [command]", "", 1))
	root.SetHelpCommandGroupID(groups[len(groups)-1].title)
	cobra.EnableCommandSorting = false // the table is in the order in which one meets them
	return root
}

// rootArgs refuses what is not a command, with the nearest names.
func rootArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	message := fmt.Sprintf("there is no command %q", args[0])
	cmd.SuggestionsMinimumDistance = 2
	for i, name := range cmd.SuggestionsFor(args[0]) {
		if i == 0 {
			message += "; did you mean"
		}
		message += " " + name
	}
	return usage(cmd, "%s", message)
}

// storeRoot is the directory of the store.
func (a *app) storeRoot() (string, error) {
	if a.root != "" {
		return a.root, nil
	}
	return store.DefaultRoot()
}

// open opens the store, for commands that only look.
func (a *app) open() (*store.Store, error) {
	root, err := a.storeRoot()
	if err != nil {
		return nil, err
	}
	return store.Open(root, store.Options{})
}

// use opens the store and keeps the garbage collector away until done is called,
// for commands that add objects or rely on them.
func (a *app) use() (s *store.Store, done func(), err error) {
	s, err = a.open()
	if err != nil {
		return nil, nil, err
	}
	release, err := s.Use()
	if err != nil {
		s.Close()
		return nil, nil, err
	}
	return s, func() { release(); s.Close() }, nil
}

// line prints one result.
func (a *app) line(format string, args ...any) error {
	_, err := fmt.Fprintf(a.out, format+"\n", args...)
	return err
}

// note tells the user something that is not a result.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.err, "layerfs: "+format+"\n", args...)
}

// isTerminal tells whether a stream of the program is a person's screen.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
