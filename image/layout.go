package image

import (
	"fmt"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Docker's names for what OCI took over from it.
const (
	dockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerManifest     = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig       = "application/vnd.docker.container.image.v1+json"
	dockerLayer        = "application/vnd.docker.image.rootfs.diff.tar"
	dockerForeign      = "application/vnd.docker.image.rootfs.foreign.diff.tar"
	ociForeign         = "application/vnd.oci.image.layer.nondistributable.v1.tar"
)

// annotationAttestation marks a manifest that says something about another image and is none itself.
const annotationAttestation = "vnd.docker.reference.type"

const (
	maxIndexDepth = 8
	maxManifests  = 10000 // in all indexes of a source together; a nest of indexes can multiply
)

// layout reads an OCI image layout (image-spec, image-layout.md).
type layout struct {
	src  source
	want *v1.Platform
	seen int // manifests met
}

// candidate is one manifest that an entry of index.json leads to.
type candidate struct {
	desc v1.Descriptor
	// platform as its descriptor says, or its config where the descriptor does not.
	platform v1.Platform
}

// resolveLayout returns no image and no error when index.json lists none.
func resolveLayout(src source, want *v1.Platform) ([]found, error) {
	l := &layout{src: src, want: want}
	if err := l.checkVersion(); err != nil {
		return nil, err
	}
	data, err := readMember(src, "the layout's index", v1.ImageIndexFile)
	if err != nil {
		return nil, err
	}
	index, err := decodeIndex(data, v1.ImageIndexFile)
	if err != nil {
		return nil, err
	}
	groups, err := l.groups(index.Manifests)
	if err != nil {
		return nil, err
	}
	var images []found
	for _, g := range groups {
		chosen, err := l.choose(g)
		if err != nil {
			return nil, err
		}
		for _, desc := range chosen {
			f, err := l.image(desc)
			if err != nil {
				return nil, err
			}
			f.names = addName(f.names, g.name)
			images = append(images, f)
		}
	}
	return images, nil
}

// checkVersion refuses layouts of another major version. The file is required by the specification, but
// some writers forget it.
func (l *layout) checkVersion() error {
	if !has(l.src, v1.ImageLayoutFile) {
		return nil
	}
	data, err := readMember(l.src, "the layout's version", v1.ImageLayoutFile)
	if err != nil {
		return err
	}
	var version v1.ImageLayout
	if err := decode(data, v1.ImageLayoutFile, &version); err != nil {
		return err
	}
	if !strings.HasPrefix(version.Version, "1.") {
		return fmt.Errorf("%w: %s says version %q, this program knows 1.x; convert it with `skopeo copy`",
			ErrMediaType, v1.ImageLayoutFile, version.Version)
	}
	return nil
}

// group is the entries of index.json under one name, or all that have none.
type group struct {
	name       string
	candidates []candidate
}

// groups sorts the entries by name, in the order of their first appearance.
func (l *layout) groups(entries []v1.Descriptor) ([]*group, error) {
	var groups []*group
	byName := make(map[string]*group)
	for _, desc := range entries {
		name := annotatedName(desc)
		g := byName[name]
		if g == nil {
			g = &group{name: name}
			byName[name] = g
			groups = append(groups, g)
		}
		if err := l.expand(desc, 0, g); err != nil {
			return nil, err
		}
	}
	return groups, nil
}

// expand appends the manifests behind a descriptor, going down through nested indexes.
func (l *layout) expand(desc v1.Descriptor, depth int, g *group) error {
	if l.seen++; l.seen > maxManifests || depth > maxIndexDepth {
		return fmt.Errorf("%w: the indexes list more than %d manifests or nest deeper than %d; this is not an image that any tool made",
			ErrTooLarge, maxManifests, maxIndexDepth)
	}
	if desc.Annotations[annotationAttestation] != "" {
		return nil
	}
	switch desc.MediaType {
	case v1.MediaTypeImageManifest, dockerManifest:
		var p v1.Platform
		if desc.Platform != nil {
			p = *desc.Platform
		}
		g.candidates = append(g.candidates, candidate{desc, p})
		return nil
	case v1.MediaTypeImageIndex, dockerManifestList:
		b, err := readBlob(l.src, "index", desc)
		if err != nil {
			return err
		}
		index, err := decodeIndex(b.data, desc.Digest.String())
		if err != nil {
			return err
		}
		for _, m := range index.Manifests {
			if err := l.expand(m, depth+1, g); err != nil {
				return err
			}
		}
		return nil
	}
	return mediaTypeError("manifest", desc)
}

// choose picks the manifests of a group to import.
//
// `docker save` keeps the whole index of an image and the blobs of one platform, so what is absent does not
// count as a choice unless nothing is present. Of equals in an index the first is meant (image-spec,
// image-index.md); entries of index.json that have no name are separate images.
func (l *layout) choose(g *group) ([]v1.Descriptor, error) {
	var present []candidate
	for _, c := range g.candidates {
		if has(l.src, blobName(c.desc.Digest)) {
			present = append(present, c)
		}
	}
	if len(present) == 0 {
		present = g.candidates // reading one will tell what is wrong with it
	}
	if len(present) == 0 || len(present) == 1 && l.want == nil {
		return descriptors(present), nil
	}
	want := hostPlatform()
	if l.want != nil {
		want = *l.want
	}
	best := 0
	var chosen []v1.Descriptor
	var there []v1.Platform
	for _, c := range present {
		p, err := l.platformOf(c)
		if err != nil {
			return nil, err
		}
		there = append(there, p)
		switch r := rank(want, p); {
		case r > best:
			best, chosen = r, []v1.Descriptor{c.desc}
		case r == best && best > 0 && g.name == "":
			chosen = append(chosen, c.desc)
		}
	}
	if best == 0 {
		return nil, platformError(want, there)
	}
	return chosen, nil
}

func descriptors(cs []candidate) []v1.Descriptor {
	var out []v1.Descriptor
	for _, c := range cs {
		out = append(out, c.desc)
	}
	return out
}

// platformOf asks the config where the descriptor does not tell.
func (l *layout) platformOf(c candidate) (v1.Platform, error) {
	if c.platform.Architecture != "" {
		return c.platform, nil
	}
	f, err := l.image(c.desc)
	return f.platform, err
}

// image reads one manifest and its config, and sees that the layers are there.
func (l *layout) image(desc v1.Descriptor) (found, error) {
	b, err := readBlob(l.src, "manifest", desc)
	if err != nil {
		return found{}, err
	}
	m, err := decodeManifest(b.data, desc)
	if err != nil {
		return found{}, err
	}
	switch m.Config.MediaType {
	case v1.MediaTypeImageConfig, dockerConfig:
	default:
		return found{}, mediaTypeError("config", *m.Config)
	}
	cb, err := readBlob(l.src, "config", *m.Config)
	if err != nil {
		return found{}, err
	}
	cfg, err := parseConfig(cb)
	if err != nil {
		return found{}, err
	}
	f := found{manifest: &b, config: cb, platform: cfg.Platform}
	for _, d := range m.Layers {
		if !isLayer(d.MediaType) {
			return found{}, mediaTypeError("layer", d)
		}
		if err := checkDigest(d.Digest); err != nil {
			return found{}, fmt.Errorf("layer of manifest %s: %w", desc.Digest, err)
		}
		f.layers = append(f.layers, layerBlob{name: blobName(d.Digest), size: d.Size, digest: d.Digest})
	}
	return f, f.checkLayers(l.src, cfg, "manifest "+desc.Digest.String())
}

// isLayer knows the media types whose content is a layer tar. How it is compressed is found by its bytes.
func isLayer(mediaType string) bool {
	for _, base := range []string{v1.MediaTypeImageLayer, ociForeign, dockerLayer, dockerForeign} {
		switch strings.TrimPrefix(mediaType, base) {
		case "", "+gzip", "+zstd", ".gzip", ".zstd":
			return mediaType != ""
		}
	}
	return false
}

func mediaTypeError(what string, d v1.Descriptor) error {
	return fmt.Errorf("%w: %s %s is %q, not a container image's; this source holds something else, or needs a conversion with `skopeo copy`",
		ErrMediaType, what, d.Digest, d.MediaType)
}
