package image

import (
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// config is what this package reads of an image's configuration (image-spec, config.md). All else in it is
// somebody else's and is kept as it is.
type config struct {
	v1.Platform
	Created *time.Time   `json:"created"`
	RootFS  v1.RootFS    `json:"rootfs"`
	History []v1.History `json:"history"`
}

func parseConfig(b blob) (*config, error) {
	what := "config " + b.digest.String()
	var c config
	if err := decode(b.data, what, &c); err != nil {
		return nil, err
	}
	if c.RootFS.Type != "layers" {
		return nil, fmt.Errorf("%w: %s has a rootfs of type %q, not \"layers\"; it is not a container image's config", ErrMediaType, what, c.RootFS.Type)
	}
	for i, d := range c.RootFS.DiffIDs {
		if err := checkDigest(d); err != nil {
			return nil, fmt.Errorf("diff_ids[%d] of %s: %w", i, what, err)
		}
		if d.Algorithm() != digest.SHA256 {
			return nil, fmt.Errorf("%w: diff_ids[%d] of %s is %s, only sha256 is known", ErrDigest, i, what, d)
		}
	}
	return &c, nil
}

// History is what NewConfig records about a new layer. Created is also the new image's time; the zero time
// becomes the Unix epoch, which keeps the result reproducible.
type History struct {
	Created   time.Time
	CreatedBy string
	Author    string
	Comment   string
}

// NewConfig derives the configuration of an image with one more layer: parent (the bytes of a config, nil for
// an image from nothing, which is then for this machine's platform) plus diffID and an entry of history.
// Fields that this package does not know are kept. Equal arguments give equal bytes.
func NewConfig(parent []byte, diffID digest.Digest, h History) ([]byte, error) {
	if err := checkDigest(diffID); err != nil {
		return nil, fmt.Errorf("new layer: %w", err)
	}
	doc := make(map[string]json.RawMessage)
	base := &config{RootFS: v1.RootFS{Type: "layers"}}
	if parent != nil {
		b := blob{digest.FromBytes(parent), parent}
		var err error
		if base, err = parseConfig(b); err != nil {
			return nil, err
		}
		if err := decode(parent, "config "+b.digest.String(), &doc); err != nil {
			return nil, err
		}
	} else {
		doc["os"] = json.RawMessage(`"linux"`)
		doc["architecture"] = json.RawMessage(`"` + runtime.GOARCH + `"`)
	}
	if h.Created.IsZero() {
		h.Created = time.Unix(0, 0)
	}
	created := h.Created.UTC()
	var err error
	if doc["created"], err = json.Marshal(created); err != nil {
		return nil, fmt.Errorf("new layer: time of creation: %w", err)
	}
	if h.Author != "" {
		if doc["author"], err = json.Marshal(h.Author); err != nil {
			return nil, err
		}
	}
	rootfs := v1.RootFS{Type: "layers", DiffIDs: append(base.RootFS.DiffIDs, diffID)}
	history := append(base.History, v1.History{Created: &created, CreatedBy: h.CreatedBy, Author: h.Author, Comment: h.Comment})
	out, err := encodeConfig(doc, rootfs, history)
	return out.data, err
}

// encodeConfig writes doc with its layers and history replaced; keys are sorted.
func encodeConfig(doc map[string]json.RawMessage, rootfs v1.RootFS, history []v1.History) (blob, error) {
	var err error
	if doc["rootfs"], err = json.Marshal(rootfs); err != nil {
		return blob{}, err
	}
	if doc["history"], err = json.Marshal(history); err != nil {
		return blob{}, err
	}
	data, err := json.Marshal(doc)
	return blob{digest.FromBytes(data), data}, err
}
