package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/fusefs"
	"github.com/layerfs/layerfs/internal/daemon"
	"github.com/layerfs/layerfs/store"
	"github.com/layerfs/layerfs/unionfs"
)

// serving is one mount: what to serve, and where.
type serving struct {
	name     string // of the RW layer
	target   string // absolute
	options  string // -o
	readOnly bool
}

// daemonCommand is the hidden command that spawn runs in the background.
const daemonCommand = "daemon"

func newDaemon(a *app) *cobra.Command {
	var sv serving
	cmd := &cobra.Command{
		Use:    daemonCommand,
		Short:  "The process behind a mount; started by mount",
		Hidden: true,
		Args:   exactly(2),
		RunE: func(_ *cobra.Command, args []string) error {
			status, err := daemon.Inherit()
			if err != nil {
				return err
			}
			sv.name, sv.target = args[0], args[1]
			s, err := a.open()
			if err == nil {
				defer s.Close()
				err = serve(s, sv, status.Ready)
			}
			if err != nil {
				// Until Ready this reaches the user; later it only ends in the log, by way of report.
				code, text := explain(err)
				_ = status.Fail(code, errors.New(text))
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&sv.options, "options", "o", "", "")
	cmd.Flags().BoolVar(&sv.readOnly, "read-only", false, "")
	return cmd
}

// spawn serves a mount in the background and returns when it answers.
func spawn(ctx context.Context, s *store.Store, rw *store.RW, sv serving) error {
	args := []string{"--root", s.Root(), daemonCommand, "-o", sv.options}
	if sv.readOnly {
		args = append(args, "--read-only")
	}
	_, err := daemon.Start(ctx, daemon.Command{
		Args: append(args, "--", sv.name, sv.target),
		Log:  filepath.Join(rw.Dir(), logName),
	})
	return reason(s, rw, err)
}

// logName is the log of the mount process, in the RW layer's directory.
const logName = "log"

// serve mounts, calls ready when the mount answers, and returns when it is gone and all data is durable.
func serve(s *store.Store, sv serving, ready func() error) error {
	signals := daemon.Catch()
	o, err := fusefs.ParseOptions(sv.options)
	if err != nil {
		return err
	}
	rw, err := s.RW(sv.name)
	if err != nil {
		return err
	}
	unlock, err := rw.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := clearDead(rw); err != nil {
		return err
	}
	o.ReadOnly = o.ReadOnly || sv.readOnly || rw.ReadOnly
	fs, closeAll, err := union(s, rw, unionfs.Options{ReadOnlyUpper: o.ReadOnly, Volatile: o.Volatile})
	if err != nil {
		return err
	}
	server, err := fusefs.Mount(fusefs.Config{Options: o, Target: sv.target, FS: fs, Log: logrus.StandardLogger()})
	if err != nil {
		return errors.Join(err, closeAll())
	}
	err = rw.SetMount(store.Mount{PID: os.Getpid(), Target: sv.target, Device: server.Device(), Started: time.Now().UTC()})
	if err == nil {
		err = ready()
	}
	if err != nil {
		return errors.Join(err, server.Unmount(), closeAll(), rw.ClearMount())
	}
	signals.Until(server.Done(), server.Unmount, func(err error) {
		logrus.WithError(err).Warnf("asked to end, but the mount is in use; it goes on. `layerfs umount --lazy %s` detaches it", sv.name)
	})
	if err := closeAll(); err != nil {
		// The record of the mount stays, which tells umount that not all is well.
		return err
	}
	return rw.ClearMount()
}

// clearDead takes down the mount that a dead process of rw left behind. The caller holds rw's lock.
func clearDead(rw *store.RW) error {
	m, err := rw.Mount()
	if err != nil || m == nil {
		return err
	}
	if fusefs.Stale(m.Target) {
		if err := fusefs.Unmount(m.Target, true); err != nil && !errors.Is(err, fusefs.ErrNotMounted) {
			return err
		}
	}
	return rw.ClearMount()
}
