package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/layerfs/layerfs/store"
	"github.com/layerfs/layerfs/tarindex"
)

// key tells layers apart before they are read: by DiffID where it is known, so that a layer that several images
// or one image several times has is unpacked once; else by file.
func (l layerBlob) key() string {
	if l.diffID != "" {
		return l.diffID.String()
	}
	return "file " + l.name
}

// unpackAll unpacks each layer of the images that is not in the store yet and returns the DiffIDs by key.
func unpackAll(ctx context.Context, s *store.Store, src source, images []found, o Options) (map[string]digest.Digest, error) {
	todo := make(map[string]layerBlob)
	var order []string
	var total int64
	for _, f := range images {
		for _, l := range f.layers {
			if _, ok := todo[l.key()]; !ok {
				todo[l.key()] = l
				order = append(order, l.key())
				total += l.size
			}
		}
	}
	u := &unpacker{store: s, src: src, limits: o.Limits, meter: &meter{total: total, report: o.Progress}, diffIDs: make(map[string]digest.Digest)}
	u.meter.add(0)
	g, ctx := errgroup.WithContext(ctx)
	if o.Parallel <= 0 {
		o.Parallel = runtime.GOMAXPROCS(0)
	}
	g.SetLimit(o.Parallel)
	// The biggest first, so that none is left for one processor when the others have nothing to do any more.
	slices.SortStableFunc(order, func(a, b string) int { return cmp.Compare(todo[b].size, todo[a].size) })
	for _, key := range order {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err // another layer failed before this one was started
			}
			return u.unpack(ctx, todo[key])
		})
	}
	return u.diffIDs, g.Wait()
}

type unpacker struct {
	store  *store.Store
	src    source
	limits tarindex.Limits
	meter  *meter

	mu      sync.Mutex
	diffIDs map[string]digest.Digest // by key
}

func (u *unpacker) unpack(ctx context.Context, l layerBlob) error {
	diffID := l.diffID
	known, err := u.known(diffID)
	if err != nil {
		return err
	}
	if known {
		u.meter.add(l.size)
	} else if diffID, err = u.read(ctx, l); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.diffIDs[l.key()] = diffID
	return nil
}

// known tells whether the store has the layer and all its contents. What is damaged counts as unknown, so that
// importing an image again puts it right.
func (u *unpacker) known(diffID digest.Digest) (bool, error) {
	if diffID == "" {
		return false, nil
	}
	err := u.store.Whole(diffID)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrCorrupt) {
		return false, nil
	}
	return err == nil, err
}

// read unpacks one layer. The store verifies its DiffID and the SHA-256 of its file, this function all else.
func (u *unpacker) read(ctx context.Context, l layerBlob) (digest.Digest, error) {
	f, err := openMember(u.src, "layer", l.name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var r io.Reader = f
	o := store.UnpackOptions{Expected: l.diffID, Progress: u.meter.add, Limits: u.limits}
	var verifier digest.Verifier
	switch {
	case l.digest == "":
	case l.digest.Algorithm() == digest.SHA256:
		o.ExpectedCompressed = l.digest
	default:
		verifier = l.digest.Verifier()
		r = io.TeeReader(f, verifier)
	}
	layer, err := u.store.Unpack(ctx, r, o)
	if err != nil {
		return "", layerError(l, u.blame(l, err))
	}
	if verifier != nil && !verifier.Verified() {
		return "", fmt.Errorf("%w: layer %s is not what its name says; get the image again", ErrDigest, l.name)
	}
	return layer.DiffID, nil
}

// blame finds the reason for a stream that cannot be read: most often it is not the one that its digest promises,
// which the store has not found out because it did not come to the end.
func (u *unpacker) blame(l layerBlob, err error) error {
	stream := errors.Is(err, tarindex.ErrCorrupt) || errors.Is(err, tarindex.ErrTruncated) || errors.Is(err, tarindex.ErrNotTar)
	if !stream || l.digest == "" {
		return err
	}
	f, openErr := openMember(u.src, "layer", l.name)
	if openErr != nil {
		return err
	}
	defer f.Close()
	got, readErr := l.digest.Algorithm().FromReader(f)
	if readErr != nil || got == l.digest {
		return err
	}
	return fmt.Errorf("%w: its bytes are %s, not %s", ErrDigest, got, l.digest)
}

// layerError names the layer and makes the error one of this package's, too.
func layerError(l layerBlob, err error) error {
	switch {
	case errors.Is(err, ErrDigest): // blame's
	case errors.Is(err, store.ErrDigest), errors.Is(err, tarindex.ErrDigest):
		return fmt.Errorf("layer %s: %w", l.name, kindError{ErrDigest, err})
	case errors.Is(err, tarindex.ErrTruncated):
		err = kindError{ErrTruncated, err}
	case errors.Is(err, tarindex.ErrNotTar), errors.Is(err, tarindex.ErrCorrupt):
		err = kindError{ErrDamaged, err}
	default:
		return fmt.Errorf("layer %s: %w", l.name, err)
	}
	return fmt.Errorf("layer %s: %w; get the image again", l.name, err)
}

// kindError adds a sentinel to an error whose text says it already.
type kindError struct{ kind, err error }

func (e kindError) Error() string { return e.err.Error() }

func (e kindError) Unwrap() []error { return []error{e.kind, e.err} }

// A meter adds up what all layers have read.
type meter struct {
	mu     sync.Mutex
	done   int64
	total  int64
	report func(done, total int64)
}

func (m *meter) add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	if m.report != nil {
		m.report(m.done, m.total)
	}
}
