package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
)

// input opens FILE, or standard input for "-". size is 0 where nobody knows it.
func (a *app) input(path string) (r io.ReadCloser, size int64, err error) {
	if path == "-" {
		return io.NopCloser(a.in), 0, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, fileError{err}
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	if info.IsDir() {
		file.Close()
		return nil, 0, fmt.Errorf("%s is a directory, and a layer is one tar; pack it: tar -C %s -c . | layerfs ... -", path, path)
	}
	if info.Mode().IsRegular() {
		size = info.Size()
	}
	return file, size, nil
}

// outputFlag adds -o.
func outputFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "output", "o", "", "write to this file instead of standard output")
}

// output lets write fill the file path, or standard output if path is "" or "-". A file appears only when it is
// whole: what fails half-way leaves nothing, and an older file of that name stays as it was.
func (a *app) output(cmd *cobra.Command, path string, write func(io.Writer) error) error {
	if path == "" || path == "-" {
		if isTerminal(a.out) {
			return usage(cmd, "a tar is not for a terminal; use -o FILE or a pipe")
		}
		return write(a.out)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return a.outputDevice(path, write)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".layerfs-")
	if err != nil {
		var reason *fs.PathError // names our temporary file, which means nothing to the user
		if errors.As(err, &reason) {
			err = reason.Err
		}
		return fileError{fmt.Errorf("write %s: %w", path, err)}
	}
	defer os.Remove(file.Name()) // fails when it has its name already
	defer file.Close()
	if err := write(file); err != nil {
		return err
	}
	if err := file.Chmod(0o666 &^ umask()); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// outputDevice writes to what cannot be replaced by a rename: a pipe, /dev/stdout, /dev/null.
func (a *app) outputDevice(path string, write func(io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if err := write(file); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

// umask reads the process' file mode mask; the system call can only exchange it.
func umask() os.FileMode {
	mask := syscall.Umask(0o077)
	syscall.Umask(mask)
	return os.FileMode(mask)
}
