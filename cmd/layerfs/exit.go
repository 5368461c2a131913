package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/fusefs"
	"github.com/layerfs/layerfs/image"
	"github.com/layerfs/layerfs/internal/daemon"
	"github.com/layerfs/layerfs/store"
	"github.com/layerfs/layerfs/tarindex"
	"github.com/layerfs/layerfs/unionfs"
)

// The exit codes. They are part of the interface (docs/cli.md); scripts rely on them.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
	exitConflict = 4 // name taken, in use, busy
	exitCorrupt  = 5 // damaged, or not what its digest promises
)

// outcomes says which code an error ends with and, where its text cannot know it, what to do next.
// The first that matches counts.
var outcomes = []struct {
	err  error
	code int
	next string
}{
	{errUsage, exitUsage, ""},
	{store.ErrName, exitUsage, ""},
	{store.ErrAmbiguous, exitUsage, ""},
	{image.ErrName, exitUsage, ""},
	{image.ErrFormat, exitUsage, ""},
	{fusefs.ErrOption, exitUsage, ""},

	{syscall.ENOSPC, exitFailed, "the disk is full; make room (layerfs gc, layerfs rm, layerfs rmi) and try again: nothing was lost"},
	{syscall.EDQUOT, exitFailed, "the disk quota is used up; make room (layerfs gc, layerfs rm, layerfs rmi) and try again: nothing was lost"},

	{tarindex.ErrSocket, exitFailed, "remove the socket and try again: a layer tar cannot carry one"},
	{unionfs.ErrChanging, exitConflict, ""}, // it may be a tarindex.ErrTruncated, too
	{store.ErrInUse, exitConflict, ""},
	{fusefs.ErrMounted, exitConflict, ""},
	{fusefs.ErrBusy, exitConflict, "`fuser -vm TARGET` shows who uses it; `layerfs umount --lazy` detaches it all the same"},
	{syscall.ENOTEMPTY, exitConflict, ""},
	{store.ErrExists, exitConflict, ""},
	{store.ErrNotFound, exitNotFound, ""},
	{errNoFile, exitNotFound, ""},
	{fusefs.ErrNotMounted, exitNotFound, ""},
	{errNotMounted, exitNotFound, ""},
	{image.ErrNoImage, exitNotFound, ""},
	{image.ErrPlatform, exitNotFound, ""},
	{fusefs.ErrTarget, exitUsage, ""}, // below the others, which say more

	{store.ErrCorrupt, exitCorrupt, ""},
	{store.ErrDigest, exitCorrupt, ""},
	{tarindex.ErrCorrupt, exitCorrupt, "see what else is damaged: layerfs check"},
	{tarindex.ErrDigest, exitCorrupt, ""},
	{tarindex.ErrNotTar, exitCorrupt, ""},
	{tarindex.ErrTruncated, exitCorrupt, ""},
	{image.ErrNotArchive, exitCorrupt, ""},
	{image.ErrTruncated, exitCorrupt, ""},
	{image.ErrDamaged, exitCorrupt, ""},
	{image.ErrDigest, exitCorrupt, ""},
	{image.ErrSize, exitCorrupt, ""},
	{image.ErrMissing, exitCorrupt, ""},

	{tarindex.ErrLimit, exitFailed, ""},
	{image.ErrTooLarge, exitFailed, ""},

	{context.Canceled, exitFailed, "interrupted; nothing half done is left behind"},
}

// report prints err, if there is one, and returns the exit code.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	// The reader of a pipe went away, as in `layerfs layers | head`: nobody is left to be told.
	if errors.Is(err, syscall.EPIPE) {
		return exitFailed
	}
	code, text := explain(err)
	fmt.Fprintln(w, text)
	return code
}

// explain finds the exit code of err and the whole text for the user.
func explain(err error) (code int, text string) {
	// What the process behind a mount says has been explained there.
	var failure *daemon.Failure
	if errors.As(err, &failure) {
		return failure.Code, err.Error()
	}
	text = "layerfs: " + err.Error()
	if hint := limitHint(err); hint != "" {
		text += "\nlayerfs: " + hint
	}
	for _, o := range outcomes {
		if !errors.Is(err, o.err) {
			continue
		}
		if o.next != "" {
			text += "\nlayerfs: " + o.next
		}
		return o.code, text
	}
	return exitFailed, text
}

var errUsage = errors.New("usage")

// usageError is a command line that cannot be carried out.
type usageError struct {
	text string
}

func (e usageError) Error() string        { return e.text }
func (e usageError) Is(target error) bool { return target == errUsage }

// usage makes a usageError that shows how the command is called.
func usage(cmd *cobra.Command, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if cmd.HasParent() {
		text = cmd.Name() + ": " + text
	}
	return usageError{fmt.Sprintf("%s\nusage: %s\nexamples and options: %s --help", text, cmd.UseLine(), cmd.CommandPath())}
}

var errNoFile = errors.New("no such file")

// fileError is an error about a file that the user named. One that is not there ends as any other object that is not.
type fileError struct{ error }

func (e fileError) Unwrap() error { return e.error }
func (e fileError) Is(target error) bool {
	return target == errNoFile && errors.Is(e.error, fs.ErrNotExist)
}
