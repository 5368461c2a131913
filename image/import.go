package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/layerfs/layerfs/store"
	"github.com/layerfs/layerfs/tarindex"
)

// Options of an Import. The zero value is a sensible choice.
type Options struct {
	// Stdin is read when the source is "-".
	Stdin io.Reader
	// Name is given to the image in place of its own names. It is an error when there are several images.
	Name string
	// Platform chooses among the platforms of an image, as ParsePlatform reads it; this machine's when empty.
	Platform string
	// Parallel is how many layers are unpacked at once; one for each processor when 0.
	Parallel int
	// Progress is called from several goroutines, but never from two at once. First, where an archive must be unpacked
	// before it can be read (a pipe, a compressed one), with the bytes that came and total 0, as nobody knows how many
	// there will be; then with the bytes of layers read so far and of all layers, beginning at 0.
	Progress func(done, total int64)
	// Limits bound every layer. Size, Ratio and Window also bound an archive that must be unpacked before it can be read.
	Limits tarindex.Limits
}

// Import reads the images of src (a docker-archive of any age or an OCI layout, a directory or an archive, "-" for
// o.Stdin) into s and returns them, one for each name, in the order in which src lists them. An image without a name
// is called by the digest of its config. A name that is taken moves to the new image.
//
// Everything is verified against every digest and size that src has. On error no name has changed, unless
// the error is in writing the names themselves; layers already unpacked stay and make the next try shorter.
func Import(ctx context.Context, s *store.Store, src string, o Options) ([]store.Image, error) {
	images, err := importFrom(ctx, s, src, o)
	if err != nil {
		if src == "-" {
			src = "standard input"
		}
		return nil, fmt.Errorf("import %s: %w", src, err)
	}
	return images, nil
}

func importFrom(ctx context.Context, s *store.Store, path string, o Options) ([]store.Image, error) {
	if path == "-" && o.Stdin == nil {
		return nil, errors.New("no standard input to read from")
	}
	var want *v1.Platform
	if o.Platform != "" {
		p, err := ParsePlatform(o.Platform)
		if err != nil {
			return nil, err
		}
		want = &p
	}
	if o.Name != "" {
		name, err := CanonicalName(o.Name)
		if err != nil {
			return nil, err
		}
		o.Name = name
	}
	release, err := s.Use()
	if err != nil {
		return nil, err
	}
	defer release()

	var tmp scratch
	defer tmp.remove()
	in := opener{ctx: ctx, limits: o.Limits, create: func() (*os.File, error) { return tmp.create(s) }, report: o.Progress}
	src, err := in.open(path, o.Stdin)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	images, err := resolve(src, want)
	if err != nil {
		return nil, err
	}
	if err := rename(images, o.Name); err != nil {
		return nil, err
	}
	unpacked, err := unpackAll(ctx, s, src, images, o)
	if err != nil {
		return nil, err
	}
	return commit(s, images, unpacked)
}

// rename gives the one image the name that the user wants.
func rename(images []found, name string) error {
	if name == "" {
		return nil
	}
	if len(images) > 1 {
		var all []string
		for _, f := range images {
			all = append(all, f.names...)
		}
		return fmt.Errorf("%w: %s cannot be given to %d images (%s); import them under their own names and use `layerfs tag`",
			ErrName, name, len(images), strings.Join(all, ", "))
	}
	images[0].names = []string{name}
	return nil
}

// commit makes the chains, base first, then stores the documents, then gives the names.
func commit(s *store.Store, images []found, unpacked map[string]digest.Digest) ([]store.Image, error) {
	var out []store.Image
	created := time.Now().UTC()
	for _, f := range images {
		img, err := commitContent(s, f, unpacked)
		if err != nil {
			return nil, err
		}
		names := f.names
		if len(names) == 0 {
			names = []string{img.Config.String()}
		}
		for _, name := range names {
			img.Name, img.Created = name, created
			out = append(out, img)
		}
	}
	for _, img := range out {
		if err := s.PutImage(img); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// commitContent stores all of an image but its names.
func commitContent(s *store.Store, f found, unpacked map[string]digest.Digest) (store.Image, error) {
	var img store.Image
	var diffIDs []digest.Digest
	for _, l := range f.layers {
		diffIDs = append(diffIDs, unpacked[l.key()])
	}
	if f.v1 != nil {
		var err error
		if f.config, err = legacyConfig(f.v1, diffIDs); err != nil {
			return store.Image{}, err
		}
	}
	for _, d := range diffIDs {
		chain, err := s.AddChain(img.ChainID, d)
		if err != nil {
			return store.Image{}, err
		}
		img.ChainID = chain.ID
	}
	var err error
	if img.Config, err = s.PutBlob(f.config.data); err != nil {
		return store.Image{}, err
	}
	if f.manifest != nil {
		if img.Manifest, err = s.PutBlob(f.manifest.data); err != nil {
			return store.Image{}, err
		}
	}
	return img, nil
}

// scratch is a file in the store's staging directory that is made when it is needed.
type scratch struct{ discard func() }

func (t *scratch) create(s *store.Store) (*os.File, error) {
	dir, discard, err := s.Scratch()
	if err != nil {
		return nil, err
	}
	t.discard = discard
	return os.OpenFile(filepath.Join(dir, "archive.tar"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

func (t *scratch) remove() {
	if t.discard != nil {
		t.discard()
	}
}
