package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Before Docker 1.10 an archive held one directory for each layer, and every layer was an image:
//
//	repositories           {"name": {"tag": "id of the top layer"}}; absent when saved by id
//	<id>/VERSION           1.0
//	<id>/json              the layer's configuration and its parent's id
//	<id>/layer.tar         may be a link to another layer's
//
// There are no digests. What is a config today is made here as Docker makes it when it loads such an
// archive: the top layer's JSON without its v1 fields, with the DiffIDs and a history.
const legacyRepositories = "repositories"

// legacyImage is one <id>/json.
type legacyImage struct {
	ID           string
	Parent       string
	Created      *time.Time
	Author       string
	Comment      string
	OS           string
	Architecture string
	ContainerCfg struct{ Cmd []string } `json:"container_config"`

	raw []byte
}

var legacyID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// legacyTop is the top layer of an image and the image's names.
type legacyTop struct {
	id    string
	names []string
}

// resolveLegacy returns no image and no error when src has no v1 directories.
func resolveLegacy(src source) ([]found, error) {
	read := make(map[string]*legacyImage) // by id, so that shared parents are read once
	tops, err := legacyTops(src, read)
	if err != nil {
		return nil, err
	}
	var images []found
	for _, top := range tops {
		f, err := legacyChain(src, top, read)
		if err != nil {
			return nil, err
		}
		images = append(images, f)
	}
	return images, nil
}

// legacyTops reads `repositories`; without one, a layer that is nobody's parent is an image.
func legacyTops(src source, read map[string]*legacyImage) ([]legacyTop, error) {
	if has(src, legacyRepositories) {
		return namedTops(src)
	}
	names, err := src.glob("*/json")
	if err != nil {
		return nil, err
	}
	isParent := make(map[string]bool)
	var ids []string
	for _, name := range names {
		id := path.Dir(name)
		if !legacyID.MatchString(id) {
			continue // a directory of something else
		}
		l, err := readLegacy(src, id, read)
		if err != nil {
			return nil, err
		}
		isParent[l.Parent] = true
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var tops []legacyTop
	for _, id := range ids {
		if !isParent[id] {
			tops = append(tops, legacyTop{id: id})
		}
	}
	return tops, nil
}

func namedTops(src source) ([]legacyTop, error) {
	data, err := readMember(src, "the list of names", legacyRepositories)
	if err != nil {
		return nil, err
	}
	var repositories map[string]map[string]string
	if err := decode(data, legacyRepositories, &repositories); err != nil {
		return nil, err
	}
	names := 0
	for _, tags := range repositories {
		names += len(tags)
	}
	if names > maxNames {
		return nil, fmt.Errorf("%w: %s gives %d names, the limit is %d", ErrTooLarge, legacyRepositories, names, maxNames)
	}
	byID := make(map[string]int)
	var tops []legacyTop
	for _, repo := range slices.Sorted(maps.Keys(repositories)) {
		for _, tag := range slices.Sorted(maps.Keys(repositories[repo])) {
			name, err := CanonicalName(repo + ":" + tag)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", legacyRepositories, err)
			}
			id := repositories[repo][tag]
			i, ok := byID[id]
			if !ok {
				i = len(tops)
				byID[id] = i
				tops = append(tops, legacyTop{id: id})
			}
			tops[i].names = addName(tops[i].names, name)
		}
	}
	return tops, nil
}

func readLegacy(src source, id string, read map[string]*legacyImage) (*legacyImage, error) {
	if l, ok := read[id]; ok {
		return l, nil
	}
	if !legacyID.MatchString(id) {
		return nil, fmt.Errorf("%w: layer id %q is not 64 hexadecimal digits; get the image again", ErrJSON, id)
	}
	data, err := readMember(src, "v1 layer", id+"/json")
	if err != nil {
		return nil, err
	}
	l := &legacyImage{raw: data}
	if err := decode(data, id+"/json", l); err != nil {
		return nil, err
	}
	if l.ID != "" && l.ID != id {
		return nil, fmt.Errorf("%w: %s/json calls itself %s; get the image again", ErrJSON, id, l.ID)
	}
	read[id] = l
	return l, nil
}

// legacyChain goes from the top layer to the base.
func legacyChain(src source, top legacyTop, read map[string]*legacyImage) (found, error) {
	f := found{names: top.names}
	for id := top.id; id != ""; {
		if len(f.layers) == maxLayers {
			return found{}, fmt.Errorf("%w: the parents of v1 layer %s go round in circles, or are more than %d", ErrTooLarge, top.id, maxLayers)
		}
		l, err := readLegacy(src, id, read)
		if err != nil {
			return found{}, err
		}
		blob := layerBlob{name: id + "/layer.tar"}
		if err := blob.locate(src); err != nil {
			return found{}, err
		}
		f.layers = append(f.layers, blob)
		f.v1 = append(f.v1, *l)
		id = l.Parent
	}
	slices.Reverse(f.layers)
	slices.Reverse(f.v1)
	last := f.v1[len(f.v1)-1]
	f.platform = v1.Platform{OS: last.OS, Architecture: last.Architecture}
	return f, nil
}

// legacyConfig makes the config of a v1 image whose layers, base first, have the given DiffIDs.
func legacyConfig(layers []legacyImage, diffIDs []digest.Digest) (blob, error) {
	if len(layers) == 0 || len(layers) != len(diffIDs) {
		return blob{}, errors.New("image: a v1 image needs one DiffID for each of its layers")
	}
	top := layers[len(layers)-1]
	doc := make(map[string]json.RawMessage)
	if err := decode(top.raw, top.ID+"/json", &doc); err != nil {
		return blob{}, err
	}
	for _, field := range []string{"id", "parent", "layer_id", "parent_id", "Size", "throwaway"} {
		delete(doc, field)
	}
	var history []v1.History
	for _, l := range layers {
		history = append(history, v1.History{
			Created: l.Created, Author: l.Author, Comment: l.Comment,
			CreatedBy: strings.Join(l.ContainerCfg.Cmd, " "),
		})
	}
	return encodeConfig(doc, v1.RootFS{Type: "layers", DiffIDs: diffIDs}, history)
}
