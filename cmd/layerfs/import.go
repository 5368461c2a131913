package main

import (
	"os"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/image"
)

func newImport(a *app) *cobra.Command {
	var o image.Options
	cmd := &cobra.Command{
		Use:   "import [--name REF] [--platform OS/ARCH[/VARIANT]] [--limit NAME=N,...] SRC",
		Short: "Take in an image; prints its name",
		Long: `Take in the images of SRC: a docker-archive (docker save, podman save) of any age,
an OCI layout as directory or tar, plain or compressed, or - for standard input.
Every digest is verified. Prints one name per line; an image that has none is
named by the digest of its config.`,
		Example: `  layerfs import debian.tar
  layerfs import --name my/app:1 ./oci-layout-directory
  docker save debian:12 | layerfs import -
  skopeo copy docker://debian:12 docker-archive:/dev/stdout:debian:12 | layerfs import -
  layerfs import --platform linux/arm64 multi-platform.tar`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Stat(args[0]); err != nil && args[0] != "-" {
				return fileError{err}
			}
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			if args[0] == "-" && isTerminal(a.in) {
				return usage(cmd, "an archive does not come from a terminal; use a pipe or a file")
			}
			bar := a.progress("import", 0)
			o.Stdin, o.Progress = a.in, bar.set
			images, err := image.Import(cmd.Context(), s, args[0], o)
			bar.end()
			if err != nil {
				return err
			}
			chains := make([]digest.Digest, len(images))
			for i, img := range images {
				chains[i] = img.ChainID
			}
			if err := a.warnOfChains(s, chains...); err != nil {
				return err
			}
			for _, img := range images {
				if err := a.line("%s", img.Name); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&o.Name, "name", "", "name of the image, instead of its own names")
	cmd.Flags().StringVar(&o.Platform, "platform", "", "which image of a multi-platform index (default this machine's)")
	limitFlag(cmd, &o.Limits)
	return cmd
}
