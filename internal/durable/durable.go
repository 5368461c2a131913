package durable

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/layerfs/layerfs/internal/sys"
)

// WriteFile makes path a file that holds data, at once and for good: a reader finds the old file (or none) or the new
// one, never a part. staged is where the data is written first; it must not exist and must be on the file system of
// path. When WriteFile fails before its commit point path is untouched and staged is the caller's to remove.
//
// Steps: op.staged, op.renamed, op.durable.
func WriteFile(op, staged, path string, data []byte, perm os.FileMode) error {
	if err := Stage(staged, data, perm); err != nil {
		return err
	}
	if err := Reach(op + ".staged"); err != nil {
		return err
	}
	return Rename(op, staged, path)
}

// Stage creates the file path, writes data and makes the data durable. The name itself is not durable yet:
// it is a staging name that is about to be renamed.
func Stage(path string, data []byte, perm os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// Rename brings what is durable at staged into view as path and makes the new name durable. It is the commit point
// of an operation. As rename(2), it replaces a file or an empty directory and refuses a directory that is not empty.
//
// Steps: op.renamed, op.durable.
func Rename(op, staged, path string) error {
	if err := os.Rename(staged, path); err != nil {
		return err
	}
	if err := Reach(op + ".renamed"); err != nil {
		return err
	}
	if err := SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return Reach(op + ".durable")
}

// Remove takes the file path out of view for good. A file that is not there is an error (fs.ErrNotExist).
//
// Steps: op.removed, op.durable.
func Remove(op, path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	if err := Reach(op + ".removed"); err != nil {
		return err
	}
	if err := SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return Reach(op + ".durable")
}

// manyDirs is the number of directories from which on one syncfs is cheaper than an fsync for each of them:
// an fsync of a clean directory still flushes the disk's cache.
const manyDirs = 8

// SyncDirs makes the names in all these directories durable. They are on one file system.
func SyncDirs(dirs []string) error {
	if len(dirs) >= manyDirs {
		return sys.SyncFS(dirs[0])
	}
	for _, d := range dirs {
		if err := SyncDir(d); err != nil {
			return err
		}
	}
	return nil
}

// SyncDir makes the names in the directory durable.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return fmt.Errorf("sync directory: %w", err)
	}
	return f.Close()
}
