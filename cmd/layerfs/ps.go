package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/store"
)

// rwRow is an RW layer with its state of this moment.
type rwRow struct {
	*store.RW
	Status store.Status `json:"status"`
}

func newPs(a *app) *cobra.Command {
	var l listing
	cmd := &cobra.Command{
		Use:   "ps [-q | --json]",
		Short: "List the RW layers and where they are mounted",
		Long: `List the RW layers. STATUS is idle, mounted, or dead: its process died and left the mount
behind, which the next mount or umount of it clears.`,
		Example: `  layerfs ps
  layerfs ps --json | jq -r '.[] | select(.status.state == "mounted") | .status.mount.target'`,
		Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			rws, damaged := s.RWs()
			rows := make([]rwRow, 0, len(rws))
			for _, rw := range rws {
				status, err := rw.Status()
				switch {
				case err == nil:
					rows = append(rows, rwRow{rw, status})
				case errors.Is(err, store.ErrNotFound):
					// Removed since we read its record.
				default:
					damaged = errors.Join(damaged, err)
				}
			}
			err = list(a, l, rows, func(r rwRow) string { return r.Name },
				column[rwRow]{"NAME", func(r rwRow) string { return r.Name }},
				column[rwRow]{"OVER", rwRow.over},
				column[rwRow]{"STATUS", func(r rwRow) string { return r.Status.State }},
				column[rwRow]{"TARGET", rwRow.target},
				column[rwRow]{"PID", rwRow.pid},
				column[rwRow]{"CREATED", func(r rwRow) string { return when(r.Created) }},
			)
			return errors.Join(err, damaged)
		},
	}
	l.flags(cmd)
	return cmd
}

// over is the image's name, or the chain where it has none.
func (r rwRow) over() string {
	if r.Image != "" {
		return r.Image
	}
	return short(r.Parent)
}

func (r rwRow) target() string {
	if r.Status.Mount == nil {
		return "-"
	}
	return printable(r.Status.Mount.Target)
}

func (r rwRow) pid() string {
	if r.Status.Mount == nil {
		return "-"
	}
	return count(r.Status.Mount.PID)
}
