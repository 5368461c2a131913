package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/image"
)

func newSave(a *app) *cobra.Command {
	var path, format string
	cmd := &cobra.Command{
		Use:   "save [-o FILE] [--format oci|docker-archive] IMAGE...",
		Short: "Write images as an archive that other tools read",
		Long: `Write one or more images as one archive: an OCI layout (podman load, skopeo oci-archive:)
or a docker-archive (docker load). Layers have their original DiffIDs; equal images give
equal bytes.`,
		Example: `  layerfs save my/debian:1 -o debian.tar
  layerfs save --format docker-archive my/debian:1 | docker load
  skopeo inspect --config oci-archive:debian.tar`,
		Args:              between(1, manyArguments),
		ValidArgsFunction: a.complete(imageNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := image.ParseFormat(format)
			if err != nil {
				return err
			}
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			names := make([]string, len(args))
			for i, arg := range args {
				if names[i], err = word(s, arg); err != nil {
					return err
				}
			}
			bar := a.progress("save", 0)
			defer bar.end()
			return a.output(cmd, path, func(w io.Writer) error {
				return image.Save(cmd.Context(), s, names, w, kind, image.SaveOptions{Progress: bar.set})
			})
		},
	}
	outputFlag(cmd, &path)
	cmd.Flags().StringVar(&format, "format", string(image.OCI), "oci or docker-archive")
	return cmd
}
