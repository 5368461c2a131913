package image

import (
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// blobName is where a layout keeps the blob of a digest.
func blobName(d digest.Digest) string {
	return v1.ImageBlobsDir + "/" + strings.Replace(d.String(), ":", "/", 1)
}

// checkDigest refuses digests that are malformed (and could be a path to elsewhere) or cannot be computed.
func checkDigest(d digest.Digest) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%w: %q: %w; get the image again", ErrDigest, d, err)
	}
	return nil
}

// readBlob reads a document and verifies its size and digest.
func readBlob(src source, what string, d v1.Descriptor) (blob, error) {
	if err := checkDigest(d.Digest); err != nil {
		return blob{}, fmt.Errorf("%s: %w", what, err)
	}
	data, err := readMember(src, what, blobName(d.Digest))
	if err != nil {
		return blob{}, err
	}
	if int64(len(data)) != d.Size {
		return blob{}, fmt.Errorf("%w: %s %s has %d bytes, its descriptor says %d; get the image again", ErrSize, what, d.Digest, len(data), d.Size)
	}
	if got := d.Digest.Algorithm().FromBytes(data); got != d.Digest {
		return blob{}, fmt.Errorf("%w: %s %s has digest %s; get the image again", ErrDigest, what, d.Digest, got)
	}
	return blob{d.Digest, data}, nil
}
