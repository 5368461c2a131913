package image

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// A found image is all that a source says about one image: every document read and verified, every layer
// known to be there with its right size, no layer read.
type found struct {
	names    []string      // canonical; empty when the source gives none
	manifest *blob         // nil where the format has none (docker-archive)
	config   blob          // as stored; of a v1 image: made when its layers' DiffIDs are known
	v1       []legacyImage // base first; only of v1 images, which have no config
	platform v1.Platform
	layers   []layerBlob // base first
}

// blob is a document with its digest.
type blob struct {
	digest digest.Digest
	data   []byte
}

// layerBlob says where a layer's bytes are and what they must be.
type layerBlob struct {
	name   string        // of the file in the source
	size   int64         // of that file
	digest digest.Digest // of that file; "" when the source does not say
	diffID digest.Digest // of the uncompressed tar; "" when the source does not say (v1)
}

// resolve finds the images of a source, whatever its form. Of an image for several platforms it takes the
// one for want, or this machine's when want is nil; an image that is there for one platform only is
// taken whatever it is, unless want says otherwise.
func resolve(src source, want *v1.Platform) ([]found, error) {
	images, err := resolveAny(src, want)
	if err != nil {
		return nil, err
	}
	return mergeSame(images), nil
}

// resolveAny prefers the form that says most: OCI's digests, then docker's manifest.json, then v1
// directories. Docker 25 and later write all the first two into one archive, sometimes with an
// empty OCI index.
func resolveAny(src source, want *v1.Platform) ([]found, error) {
	if has(src, v1.ImageIndexFile) {
		images, err := resolveLayout(src, want)
		if err != nil {
			return nil, err
		}
		if len(images) > 0 {
			return images, addArchiveNames(src, images)
		}
	}
	var images []found
	var err error
	switch {
	case has(src, archiveManifest):
		images, err = resolveArchive(src)
	default:
		images, err = resolveLegacy(src)
	}
	if err != nil {
		return nil, err
	}
	if len(images) == 0 {
		return nil, fmt.Errorf("%w: neither index.json nor manifest.json nor v1 directories name one; "+
			"a plain root filesystem goes in with `layerfs register`%s", ErrNoImage, src.hint())
	}
	return onlyPlatform(images, want)
}

// onlyPlatform drops the images of a docker-archive that are not for want. They are separate images
// there, not variants of one, so that without want all are taken.
func onlyPlatform(images []found, want *v1.Platform) ([]found, error) {
	if want == nil {
		return images, nil
	}
	var there []v1.Platform
	fit := slices.DeleteFunc(slices.Clone(images), func(f found) bool {
		there = append(there, f.platform)
		return rank(*want, f.platform) == 0
	})
	if len(fit) == 0 {
		return nil, platformError(*want, there)
	}
	return fit, nil
}

// mergeSame makes one of several entries for one image: archives list it once for each name.
func mergeSame(images []found) []found {
	var out []found
	at := make(map[digest.Digest]int)
	for _, f := range images {
		id := f.config.digest
		if i, ok := at[id]; ok && id != "" {
			for _, name := range f.names {
				out[i].names = addName(out[i].names, name)
			}
			continue
		}
		at[id] = len(out)
		out = append(out, f)
	}
	return out
}

// checkLayers completes the layers with the config's DiffIDs and sees that each is there.
func (f *found) checkLayers(src source, cfg *config, what string) error {
	if len(cfg.RootFS.DiffIDs) != len(f.layers) {
		return fmt.Errorf("%w: %s lists %d layers and its config %s has %d diff_ids; the image is not whole, get it again",
			ErrLayerCount, what, len(f.layers), f.config.digest, len(cfg.RootFS.DiffIDs))
	}
	if len(f.layers) > maxLayers {
		return fmt.Errorf("%w: %s lists %d layers, the limit is %d", ErrTooLarge, what, len(f.layers), maxLayers)
	}
	for i := range f.layers {
		l := &f.layers[i]
		l.diffID = cfg.RootFS.DiffIDs[i]
		if err := l.locate(src); err != nil {
			return err
		}
	}
	return nil
}

// locate opens the layer's file to see that it can be, and compares its size where the source says one.
func (l *layerBlob) locate(src source) error {
	f, err := openMember(src, "layer", l.name)
	if err != nil {
		return err
	}
	defer f.Close()
	if l.digest != "" && l.size != f.Size() {
		return fmt.Errorf("%w: layer %s has %d bytes, its descriptor says %d; get the image again", ErrSize, l.name, f.Size(), l.size)
	}
	l.size = f.Size()
	return nil
}

// decode reads one JSON document.
func decode(data []byte, what string, into any) error {
	if n := countValues(data); n > maxValues {
		return fmt.Errorf("%w: %s has %d values, the limit for a JSON document is %d; this is not an image that any tool made", ErrTooLarge, what, n, maxValues)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%w: %s: %w; get the image again", ErrJSON, what, err)
	}
	return nil
}

// countValues tells how many values the lists and objects of a JSON document have beyond the first of each, without making
// them.
func countValues(data []byte) int {
	n := 0
	inString := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			inString = !inString
		case c == '\\' && inString:
			i++
		case c == ',' && !inString:
			n++
		}
	}
	return n
}
