package tarindex

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"hash/maphash"

	"github.com/opencontainers/go-digest"
)

// The DiffID of a layer is computed once, over what was recorded: the bytes that
// Assemble will write. That these are the bytes that were read follows from
// fingerprints of both, taken at the two ends of the pipeline. A fingerprint
// costs a sixth of a SHA-256, and finds any fault in between as surely as
// chance allows; nobody outside can aim at it, since its seed is this process's
// own. It is no proof against somebody who can: that is what the SHA-256 is for,
// which callers compare with the one that they expect.

// A fingerprint is a number and a 64-bit hash of bytes.
type fingerprint struct {
	hash maphash.Hash
	size int64
}

var seed = maphash.MakeSeed()

func newFingerprint() fingerprint {
	var f fingerprint
	f.hash.SetSeed(seed)
	return f
}

func (f *fingerprint) add(b []byte) {
	f.hash.Write(b)
	f.size += int64(len(b))
}

// A proof is of what was recorded.
type proof struct {
	sha      hash.Hash
	recorded fingerprint
}

func newProof() proof { return proof{sha: sha256.New(), recorded: newFingerprint()} }

func (p *proof) add(b []byte) {
	p.sha.Write(b)
	p.recorded.add(b)
}

// diffID returns the digest of what was recorded, which must be what was read.
func (p *proof) diffID(read *fingerprint) (digest.Digest, error) {
	d := digest.NewDigest(digest.SHA256, p.sha)
	if p.recorded.size != read.size || p.recorded.hash.Sum64() != read.hash.Sum64() {
		return "", fmt.Errorf("%w: a layer of %d bytes was recorded as other bytes, %d of them (%s); please report this", ErrDigest, read.size, p.recorded.size, d)
	}
	return d, nil
}
