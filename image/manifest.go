package image

import (
	"fmt"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// document has the fields that tell manifests and indexes apart. A blob that could be read as either may
// show one image to a scanner and another to a runtime (CVE-2021-41190), so that both fields together,
// or a mediaType that contradicts the descriptor, are refused as the specification advises.
type document struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     string          `json:"mediaType"`
	Config        *v1.Descriptor  `json:"config"`
	Layers        []v1.Descriptor `json:"layers"`
	Manifests     []v1.Descriptor `json:"manifests"`
	FSLayers      []any           `json:"fsLayers"` // of docker's schema 1
}

func decodeDocument(data []byte, what string) (*document, error) {
	var d document
	if err := decode(data, what, &d); err != nil {
		return nil, err
	}
	if d.SchemaVersion == 1 || d.FSLayers != nil {
		return nil, fmt.Errorf("%w: %s is a docker schema 1 manifest; convert it with `skopeo copy`", ErrMediaType, what)
	}
	if d.Manifests != nil && (d.Config != nil || d.Layers != nil) {
		return nil, fmt.Errorf("%w: %s is a manifest and an index at once; do not trust its origin", ErrJSON, what)
	}
	return &d, nil
}

func decodeIndex(data []byte, what string) (*document, error) {
	d, err := decodeDocument(data, what)
	if err != nil {
		return nil, err
	}
	switch d.MediaType {
	case "", v1.MediaTypeImageIndex, dockerManifestList:
	default:
		return nil, fmt.Errorf("%w: %s should be an index and calls itself %q", ErrMediaType, what, d.MediaType)
	}
	if d.Config != nil || d.Layers != nil {
		return nil, fmt.Errorf("%w: %s should be an index and is a manifest; get the image again", ErrJSON, what)
	}
	return d, nil
}

func decodeManifest(data []byte, desc v1.Descriptor) (*document, error) {
	what := "manifest " + desc.Digest.String()
	d, err := decodeDocument(data, what)
	if err != nil {
		return nil, err
	}
	if d.MediaType != "" && d.MediaType != desc.MediaType {
		return nil, fmt.Errorf("%w: %s calls itself %q and its descriptor %q; do not trust its origin", ErrMediaType, what, d.MediaType, desc.MediaType)
	}
	if d.Config == nil {
		return nil, fmt.Errorf("%w: %s has no config; get the image again", ErrJSON, what)
	}
	return d, nil
}
