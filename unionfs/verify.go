package unionfs

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"github.com/layerfs/layerfs/tarindex"
)

// A verifiedReader reads what a file shows of a content, and gives the last of
// it only if the content has its hash: a layer that is made of it would vouch
// for damaged bytes with a digest of its own.
type verifiedReader struct {
	r    io.Reader // the whole content
	want tarindex.Hash
	left int64 // that the file shows: it may be shorter than the content
	sum  hash.Hash
}

func newVerifiedReader(r io.Reader, want tarindex.Hash, size int64) io.Reader {
	return &verifiedReader{r: r, want: want, left: size, sum: sha256.New()}
}

// Read implements io.Reader. After the last byte that is shown comes io.EOF.
func (v *verifiedReader) Read(p []byte) (int, error) {
	if v.left == 0 {
		return 0, io.EOF
	}
	n, err := v.r.Read(p[:min(int64(len(p)), v.left)])
	v.sum.Write(p[:n])
	v.left -= int64(n)
	if err == nil && v.left > 0 || err != nil && err != io.EOF {
		return n, err
	}
	if _, err := io.Copy(v.sum, v.r); err != nil {
		return 0, err
	}
	if got := tarindex.Hash(v.sum.Sum(nil)); got != v.want {
		return 0, fmt.Errorf("%w: content %s of the lower layers is damaged, its bytes have the hash %s", tarindex.ErrCorrupt, v.want, got)
	}
	return n, nil
}
