package image

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
)

// archiveManifest is the table of contents of a docker-archive since Docker 1.10 (docker's image
// specification v1.2). Its paths are free: `<id>/layer.tar`, `<diffid>.tar` (podman, skopeo),
// `<digest>.tar.gz` (crane), `blobs/sha256/<digest>` (Docker 25 and later) are all in use.
const archiveManifest = "manifest.json"

// archiveEntry is one image in manifest.json.
type archiveEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func readArchiveManifest(src source) ([]archiveEntry, error) {
	data, err := readMember(src, "the archive's manifest", archiveManifest)
	if err != nil {
		return nil, err
	}
	var entries []archiveEntry
	if err := decode(data, archiveManifest, &entries); err != nil {
		return nil, err
	}
	if len(entries) > maxManifests {
		return nil, fmt.Errorf("%w: %s lists %d images", ErrTooLarge, archiveManifest, len(entries))
	}
	names := 0
	for _, e := range entries {
		names += len(e.RepoTags)
	}
	if names > maxNames {
		return nil, fmt.Errorf("%w: %s gives %d names, the limit is %d", ErrTooLarge, archiveManifest, names, maxNames)
	}
	return entries, nil
}

// resolveArchive reads manifest.json. The layers are verified against the config's DiffIDs alone: the
// format has no digest of a layer's file, and the DiffID says more than one would.
func resolveArchive(src source) ([]found, error) {
	entries, err := readArchiveManifest(src)
	if err != nil {
		return nil, err
	}
	var images []found
	for _, e := range entries {
		f, err := archiveImage(src, e)
		if err != nil {
			return nil, err
		}
		images = append(images, f)
	}
	return images, nil
}

func archiveImage(src source, e archiveEntry) (found, error) {
	data, err := readMember(src, "config", e.Config)
	if err != nil {
		return found{}, err
	}
	f := found{config: blob{digest.FromBytes(data), data}}
	if want, ok := digestInName(e.Config); ok && want != f.config.digest {
		return found{}, fmt.Errorf("%w: config %s has digest %s; get the image again", ErrDigest, e.Config, f.config.digest)
	}
	cfg, err := parseConfig(f.config)
	if err != nil {
		return found{}, err
	}
	f.platform = cfg.Platform
	for _, tag := range e.RepoTags {
		name, err := CanonicalName(tag)
		if err != nil {
			return found{}, fmt.Errorf("%s: %w", archiveManifest, err)
		}
		f.names = addName(f.names, name)
	}
	for _, name := range e.Layers {
		f.layers = append(f.layers, layerBlob{name: name})
	}
	return f, f.checkLayers(src, cfg, archiveManifest)
}

var hexName = regexp.MustCompile(`^(sha256:)?[0-9a-f]{64}(\.json)?$`)

// digestInName finds the digest that all tools but a few put into a config's file name.
func digestInName(name string) (digest.Digest, bool) {
	base := path.Base(name)
	if !hexName.MatchString(base) {
		return "", false
	}
	hex := strings.TrimSuffix(strings.TrimPrefix(base, "sha256:"), ".json")
	return digest.NewDigestFromEncoded(digest.SHA256, hex), true
}

// addArchiveNames gives the images of an OCI layout the names that a manifest.json beside it knows: Docker
// writes every tag there, some writers of the OCI part none.
func addArchiveNames(src source, images []found) error {
	if !has(src, archiveManifest) {
		return nil
	}
	entries, err := readArchiveManifest(src)
	if err != nil {
		return err
	}
	for _, e := range entries {
		d, ok := digestInName(e.Config)
		if !ok {
			continue // then nothing says which of the images it means
		}
		for i := range images {
			if images[i].config.digest != d {
				continue
			}
			for _, tag := range e.RepoTags {
				name, err := CanonicalName(tag)
				if err != nil {
					return fmt.Errorf("%s: %w", archiveManifest, err)
				}
				images[i].names = addName(images[i].names, name)
			}
			break // others of this config become one with it
		}
	}
	return nil
}
