package image

import (
	"encoding/json"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// layout writes an OCI image layout. index.json comes last, so that whoever reads an archive that is cut off sees it.
func (w *writer) layout(images []*stored) error {
	version, err := json.Marshal(v1.ImageLayout{Version: v1.ImageLayoutVersion})
	if err != nil {
		return err
	}
	if err := w.file(v1.ImageLayoutFile, version); err != nil {
		return err
	}
	for _, dir := range []string{"blobs/", "blobs/sha256/"} {
		if err := w.directory(dir); err != nil {
			return err
		}
	}
	index := v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageIndex,
		Manifests: []v1.Descriptor{},
	}
	for _, img := range images {
		desc, err := w.layoutImage(img)
		if err != nil {
			return err
		}
		entries, err := named(desc, img.names)
		if err != nil {
			return err
		}
		index.Manifests = append(index.Manifests, entries...)
	}
	data, err := json.Marshal(index)
	if err != nil {
		return err
	}
	if err := w.file(v1.ImageIndexFile, data); err != nil {
		return err
	}
	return w.tar.Close()
}

// layoutImage writes the blobs of one image and returns its manifest's descriptor.
func (w *writer) layoutImage(img *stored) (v1.Descriptor, error) {
	m := v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageManifest,
		Config:    v1.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: img.config.digest, Size: int64(len(img.config.data))},
		Layers:    []v1.Descriptor{},
	}
	if err := w.file(blobName(img.config.digest), img.config.data); err != nil {
		return v1.Descriptor{}, err
	}
	for _, l := range img.layers {
		if err := w.layer(blobName(l.DiffID), l); err != nil {
			return v1.Descriptor{}, err
		}
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: l.DiffID, Size: l.Size})
	}
	data, err := json.Marshal(m)
	if err != nil {
		return v1.Descriptor{}, err
	}
	desc := v1.Descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if p := img.parsed.Platform; p.Architecture != "" {
		desc.Platform = &p
	}
	return desc, w.file(blobName(desc.Digest), data)
}

// named repeats an image's entry for each of its names. Both annotations have the full name: podman reads the
// one and containerd and docker the other, and none of them has to guess a registry.
func named(desc v1.Descriptor, names []string) ([]v1.Descriptor, error) {
	if len(names) == 0 {
		return []v1.Descriptor{desc}, nil
	}
	var entries []v1.Descriptor
	for _, name := range names {
		full, err := fullName(name)
		if err != nil {
			return nil, err
		}
		entry := desc
		entry.Annotations = map[string]string{v1.AnnotationRefName: full, annotationContainerd: full}
		entries = append(entries, entry)
	}
	return entries, nil
}
