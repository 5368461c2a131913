package image

import (
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestCanonicalName: the short names that docker prints.
func TestCanonicalName(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	for in, want := range map[string]string{
		"debian":                                "debian:latest",
		"debian:12":                             "debian:12",
		"library/debian:12":                     "debian:12",
		"docker.io/library/debian:12":           "debian:12",
		"index.docker.io/library/debian":        "debian:latest",
		"docker.io/user/app":                    "user/app:latest",
		"localhost/app:x":                       "localhost/app:x",
		"localhost:5000/app":                    "localhost:5000/app:latest",
		"quay.io/a/b/c:1.0-rc_1":                "quay.io/a/b/c:1.0-rc_1",
		"debian@" + digest:                      "debian@" + digest,
		digest:                                  digest,
		"docker.io/library/debian:12@" + digest: "debian:12@" + digest,
	} {
		got, err := CanonicalName(in)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", in, got, err, want)
		}
		if again, err := CanonicalName(got); err != nil || again != got {
			t.Errorf("%s is not stable: %s, %v", got, again, err)
		}
	}
}

func TestAnnotatedName(t *testing.T) {
	for _, c := range []struct{ containerd, ref, want string }{
		{"docker.io/library/alpine:3.14", "3.14", "alpine:3.14"},
		{"", "example.org/app:1", "example.org/app:1"},
		{"", "busybox", "busybox:latest"},
		{"", "v1.0-RC1", ""}, // a tag alone, and no repository could be called so
		{"", "", ""},
		{"Bad Name", "good:1", "good:1"},
	} {
		d := v1.Descriptor{Annotations: map[string]string{annotationContainerd: c.containerd, v1.AnnotationRefName: c.ref}}
		if got := annotatedName(d); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
