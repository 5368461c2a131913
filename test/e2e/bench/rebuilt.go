package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
)

// secondImport imports a rebuilt image beside its elder. Plain layers, so that the limit is the hash of the bytes.
func (b *bench) secondImport(ctx context.Context) ([]entrant, error) {
	elder, err := b.python(ctx)
	if err != nil {
		return nil, err
	}
	im, err := b.pythonRebuilt(ctx)
	if err != nil {
		return nil, err
	}
	archive, err := b.packed(ctx, im.layout())
	if err != nil {
		return nil, err
	}
	store := b.path("second-store")
	lf := func(ctx context.Context, args ...string) (string, error) {
		return b.do(ctx, b.layerfs, append([]string{"--root", store}, args...)...)
	}
	if _, err := lf(ctx, "import", elder.layout()); err != nil {
		return nil, err
	}
	var once sync.Once
	ours := b.one(us, func(ctx context.Context, _ string) (sample, error) {
		before, err := b.holdings(ctx, store)
		if err != nil {
			return sample{}, err
		}
		s, err := timed(b.command(ctx, b.layerfs, "--root", store, "import", archive))
		if err != nil {
			return s, err
		}
		after, err := b.holdings(ctx, store)
		if err != nil {
			return s, err
		}
		grown := after.less(before)
		once.Do(func() {
			b.report.note("import of a rebuilt image: %d files, %.2f MB, are new; the store grew by %.2f MB of contents and %.2f MB of indexes, "+
				"the elder's were %.2f MB; with what it only staged, layerfs wrote %.2f MB", len(im.changed), mb(sum(im.changed)), mb(grown.Contents),
				mb(grown.Indexes()), mb(before.Indexes()), mb(s.Written))
		})
		if err := grown.onlyNew(im.changed, before); err != nil {
			return s, err
		}
		// The next round shall find the elder only.
		if _, err := lf(ctx, "rmi", im.name); err != nil {
			return s, err
		}
		_, err = lf(ctx, "gc")
		return s, err
	})
	return []entrant{ours, b.shell(plainSum, `sha256sum "$1"`, []string{archive})}, nil
}

// holdings are the bytes that a store holds, as `layerfs df --json` tells.
type holdings struct {
	Contents int64 `json:"contentBytes"`
	Records  int64 `json:"recordBytes"`
	Merged   int64 `json:"mergedBytes"`
	Litter   int64 `json:"litterBytes"`
}

func (b *bench) holdings(ctx context.Context, store string) (h holdings, err error) {
	text, err := b.do(ctx, b.layerfs, "--root", store, "df", "--json")
	if err == nil {
		err = json.Unmarshal([]byte(text), &h)
	}
	if err != nil {
		return h, fmt.Errorf("layerfs df on %s: %w", filepath.Base(store), err)
	}
	return h, nil
}

func (h holdings) less(o holdings) holdings {
	return holdings{h.Contents - o.Contents, h.Records - o.Records, h.Merged - o.Merged, h.Litter - o.Litter}
}

// Indexes are all that is not contents of files.
func (h holdings) Indexes() int64 { return h.Records + h.Merged + h.Litter }

// onlyNew fails if a store has grown by more than the contents that are new and indexes as big as those of the elder. A
// content may take up to a page more than its bytes; indexes may differ by a tenth, as headers compress.
func (h holdings) onlyNew(changed []int64, elder holdings) error {
	const slack = 64 << 10
	contents := sum(changed) + page*int64(len(changed)) + slack
	if h.Contents > contents {
		return fmt.Errorf("the store's contents grew by %d bytes; %d files with %d bytes are new", h.Contents, len(changed), sum(changed))
	}
	if indexes := elder.Indexes() + elder.Indexes()/10 + slack; h.Indexes() > indexes {
		return fmt.Errorf("the store's indexes grew by %d bytes; those of the elder take %d", h.Indexes(), elder.Indexes())
	}
	return nil
}

func sum(numbers []int64) (total int64) {
	for _, n := range numbers {
		total += n
	}
	return total
}

func mb(bytes int64) float64 { return float64(bytes) / 1e6 }
