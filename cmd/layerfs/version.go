package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Set by the Makefile. A binary made by `go install` finds them in its build information instead.
var (
	buildVersion string
	buildCommit  string
	buildDate    string
)

type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Date     string `json:"date"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersion(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version [--json]",
		Short: "Print version and commit",
		Example: `  layerfs version
  layerfs version --json`,
		Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			v := thisVersion()
			if asJSON {
				return a.json(v)
			}
			return a.line("layerfs %s\ncommit %s of %s\n%s %s", v.Version, v.Commit, v.Date, v.Go, v.Platform)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func thisVersion() versionInfo {
	v := versionInfo{buildVersion, buildCommit, buildDate, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	if v.Version != "" {
		return v
	}
	v.Version, v.Commit, v.Date = "unknown", "unknown", "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = info.Main.Version
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.Commit = s.Value
		case s.Key == "vcs.time":
			v.Date = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	v.Commit += dirty
	return v
}
