package image

import (
	"fmt"
	"slices"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// CanonicalName gives an image name its one form, the one in which it is stored, listed and looked up: a
// reference in familiar form with a tag ("debian" and "docker.io/library/debian:latest" are both
// "debian:latest") or with a digest. A bare digest ("sha256:...") names an image that has no other
// name, by its config, and stays as it is.
func CanonicalName(name string) (string, error) {
	if d, err := digest.Parse(name); err == nil {
		return d.String(), nil
	}
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", fmt.Errorf("%w: %q: %w; write it like debian:12 or example.org/team/app:1.0", ErrName, name, err)
	}
	return reference.FamiliarString(reference.TagNameOnly(ref)), nil
}

// fullName is the form with registry and path, the one that other tools expect in annotations.
func fullName(name string) (string, error) {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", fmt.Errorf("%w: %q: %w", ErrName, name, err)
	}
	return reference.TagNameOnly(ref).String(), nil
}

// isConfigName tells a name that stands for "no name".
func isConfigName(name string) bool {
	_, err := digest.Parse(name)
	return err == nil
}

// annotationContainerd holds the full name where AnnotationRefName often holds the tag alone.
const annotationContainerd = "io.containerd.image.name"

// annotatedName is the name in a descriptor of index.json, or "". ref.name may be any string by the
// specification, often only a tag, so it counts as a name only where it can be one.
func annotatedName(d v1.Descriptor) string {
	for _, key := range []string{annotationContainerd, v1.AnnotationRefName} {
		if name, err := CanonicalName(d.Annotations[key]); err == nil {
			return name
		}
	}
	return ""
}

// addName adds name unless it is there or empty.
func addName(names []string, name string) []string {
	if name == "" || slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}
