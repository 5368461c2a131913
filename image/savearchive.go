package image

import (
	"encoding/json"
	"strings"
)

// archive writes a docker-archive. File names are those of skopeo and podman: `<hex>.json` and `<hex>.tar`. Names are
// full as in theirs, because podman takes a name without a registry for one of localhost.
func (w *writer) archive(images []*stored) error {
	entries := []archiveEntry{}
	for _, img := range images {
		e := archiveEntry{Config: img.config.digest.Encoded() + ".json", RepoTags: []string{}, Layers: []string{}}
		if err := w.file(e.Config, img.config.data); err != nil {
			return err
		}
		for _, name := range img.names {
			if strings.Contains(name, "@") {
				continue // a name by digest has no tag that could be given again
			}
			full, err := fullName(name)
			if err != nil {
				return err
			}
			e.RepoTags = append(e.RepoTags, full)
		}
		for _, l := range img.layers {
			name := l.DiffID.Encoded() + ".tar"
			if err := w.layer(name, l); err != nil {
				return err
			}
			e.Layers = append(e.Layers, name)
		}
		entries = append(entries, e)
	}
	data, err := json.Marshal(entries)
	if err != nil {
		return err
	}
	if err := w.file(archiveManifest, data); err != nil {
		return err
	}
	return w.tar.Close()
}
