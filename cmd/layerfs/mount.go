package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/fusefs"
	"github.com/layerfs/layerfs/store"
)

// mountFlags are the options of mount.
type mountFlags struct {
	name       string
	readOnly   bool
	foreground bool
	options    string // -o
}

func newMount(a *app) *cobra.Command {
	var f mountFlags
	cmd := &cobra.Command{
		Use:   "mount [--name NAME] [--read-only] [-f] [-o OPTIONS] [IMAGE|CHAINID] TARGET",
		Short: "Mount an image or chain through an RW layer; prints the RW layer's name",
		Long: `Mount an image or a chain read-write on the empty directory TARGET and print the name of
the RW layer that takes the changes. An RW layer called NAME is resumed if it exists and is
over the same chain, else made. Without IMAGE|CHAINID, NAME must exist.

A plain user's mount is his workshop: he sees owners and modes as recorded and may change any
of them, and nobody else can enter. With -o allow_other, as root or inside a user namespace,
the kernel checks the recorded owners and modes.

Options for -o, separated by commas:
  ro                       refuse every change
  squash                   show everything as yours
  uidmap=RECORDED:SHOWN:N  show recorded user ids as others (gidmap the same for groups)
  volatile                 no fsync: faster, and lost when the machine crashes
  allow_other              let other users in (needs user_allow_other in /etc/fuse.conf)
  default_permissions      let the kernel check owners and modes
  fsname=NAME, subtype=NAME, noatime, nosuid, nodev, noexec, sync, ... as in mount(8)`,
		Example: `  layerfs mount --name work debian:12 ~/mnt
  layerfs mount --name work ~/mnt
  name=$(layerfs mount debian:12 /tmp/scratch)
  layerfs mount --read-only -o squash my/app:1 ~/app
  layerfs mount -f --name debug -o volatile debian:12 ~/mnt`,
		Args:              between(1, 2),
		ValidArgsFunction: a.complete(imageNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.name == "" && cmd.Flags().Changed("name") {
				return usage(cmd, "--name is empty; leave it out for a generated name")
			}
			if len(args) == 1 && f.name == "" {
				return usage(cmd, "needs IMAGE|CHAINID and TARGET, or --name of an RW layer that exists")
			}
			options, err := fusefs.ParseOptions(f.options)
			if err != nil {
				return fmt.Errorf("mount: -o: %w", err)
			}
			f.readOnly = f.readOnly || options.ReadOnly
			s, done, err := a.use()
			if err != nil {
				return err
			}
			defer done()
			target, err := fusefs.CheckTarget(args[len(args)-1], s.Root())
			if err != nil {
				return fileError{err}
			}
			rw, created, err := f.rwLayer(s, args[:len(args)-1])
			if err != nil {
				return err
			}
			sv := serving{rw.Name, target, f.options, f.readOnly}
			if f.foreground {
				err = serve(s, sv, func() error { done(); return a.line("%s", rw.Name) })
			} else {
				err = spawn(cmd.Context(), s, rw, sv)
			}
			if err != nil && created {
				// A mount that failed leaves nothing behind.
				err = errors.Join(err, s.RemoveRW(rw.Name))
			}
			if err != nil || f.foreground {
				return err
			}
			return a.line("%s", rw.Name)
		},
	}
	cmd.Flags().StringVar(&f.name, "name", "", "name of the RW layer to resume or make (default: a generated one)")
	cmd.Flags().BoolVar(&f.readOnly, "read-only", false, "refuse every change")
	cmd.Flags().BoolVarP(&f.foreground, "foreground", "f", false, "stay in the foreground until unmounted")
	cmd.Flags().StringVarP(&f.options, "options", "o", "", "mount options, separated by commas")
	return cmd
}

// rwLayer resumes or makes the RW layer. args is what it shall be over, if the user said it.
func (f *mountFlags) rwLayer(s *store.Store, args []string) (rw *store.RW, created bool, err error) {
	if f.name != "" {
		rw, err = s.RW(f.name)
		switch {
		case err == nil:
			return rw, false, f.sameParent(s, rw, args)
		case len(args) == 0 || !errors.Is(err, store.ErrNotFound):
			return nil, false, err
		}
	}
	rw, err = createRW(s, f.name, args[0], store.RWOptions{ReadOnly: f.readOnly})
	return rw, err == nil, err
}

// sameParent refuses to resume an RW layer over another chain than the user asks for.
func (f *mountFlags) sameParent(s *store.Store, rw *store.RW, args []string) error {
	if len(args) == 0 {
		return nil
	}
	ref, err := resolve(s, args[0])
	if err != nil {
		return err
	}
	if ref.ChainID == rw.Parent {
		return nil
	}
	over := rwRow{RW: rw}.over()
	return fmt.Errorf("rw layer %s: %w and is over %s (%s), not over %s (%s); resume it with `layerfs mount --name %s TARGET`, or choose another name",
		rw.Name, store.ErrExists, over, short(rw.Parent), args[0], short(ref.ChainID), rw.Name)
}
