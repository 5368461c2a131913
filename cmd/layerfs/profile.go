package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
)

// profileDir names the environment variable for contributors: the path of a directory that every process of layerfs, the
// daemons of mounts included, writes a CPU profile to, COMMAND-PID.pprof.
const profileDir = "LAYERFS_CPUPROFILE"

// profile starts the profiler if the environment asks for it. A profile that cannot be had is no reason to fail.
func profile(command string, errw io.Writer) (stop func()) {
	dir := os.Getenv(profileDir)
	if dir == "" {
		return func() {}
	}
	missed := func(err error) {
		fmt.Fprintf(errw, "layerfs: no profile: %v; make %s the path of a directory to write to, or unset it\n", err, profileDir)
	}
	file, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%d.pprof", command, os.Getpid())))
	if err == nil {
		err = pprof.StartCPUProfile(file)
	}
	if err != nil {
		missed(err)
		return func() {}
	}
	return func() {
		pprof.StopCPUProfile()
		if err := file.Close(); err != nil {
			missed(err)
		}
	}
}
