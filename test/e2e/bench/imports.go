package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

const (
	importTable = "images in and out"
	podmanLoad  = "podman load"
	podmanPull  = "podman pull oci:"
	umociUnpack = "umoci unpack --rootless"
	zcatSum     = "zcat | sha256sum"
	plainSum    = "sha256sum"
	catSum      = "cat | sha256sum"
)

// importPeak is how many MiB an import may have resident.
const importPeak = 128

// importContests bring images into an empty store, and out of a full one.
func (b *bench) importContests() []*contest {
	table := func(c contest, enter func(context.Context) ([]entrant, error)) *contest {
		c.table, c.unit, c.enter = importTable, seconds, enter
		return &c
	}
	small := goal{"", us, peak, importPeak}
	return []*contest{
		table(contest{
			work: "import, gzip layers", reference: podmanLoad, weight: 10,
			goals: []goal{
				faster("", podmanLoad, 0.25), {"", podmanLoad, cpu, 0.5},
				faster("", umociUnpack, 0.25), faster("", zcatSum, 1.2), small,
			},
		}, func(ctx context.Context) ([]entrant, error) { return b.gzipImport(ctx, b.python) }),
		table(contest{
			work: "import, zstd layers", reference: podmanPull, weight: 5,
			goals: []goal{faster("", podmanPull, 0.25), small},
		}, b.zstdImport),
		table(contest{
			work: "import of a node image, gzip layers", reference: podmanLoad, weight: 13,
			goals: []goal{faster("", podmanLoad, 0.25), small},
		}, func(ctx context.Context) ([]entrant, error) { return b.gzipImport(ctx, b.node) }),
		table(contest{
			work: "import of a rebuilt image, plain layers", reference: plainSum, weight: 3,
			goals: []goal{faster("", plainSum, 1.1), small},
		}, b.secondImport),
		table(contest{
			work: "export of all layers", reference: catSum, weight: 2, goals: []goal{faster("", catSum, 1.5)},
		}, b.exports),
		table(contest{
			work:      fmt.Sprintf("register a layer of %d MiB from a pipe", b.huge>>20),
			reference: plainSum, weight: 3, goals: []goal{small},
		}, b.bigLayer),
	}
}

// one makes an entrant of a command that is made anew each time, in an empty folder.
func (b *bench) one(side string, run func(ctx context.Context, dir string) (sample, error)) entrant {
	return entrant{side, func(ctx context.Context) ([]pass, error) {
		if err := syncfs(b.dir); err != nil {
			return nil, err
		}
		dir, err := b.fresh("import")
		if err != nil {
			return nil, err
		}
		s, err := run(ctx, dir)
		return []pass{{"", s}}, errors.Join(err, removeAll(dir))
	}}
}

// shell is an entrant that reads every file with a pipeline, "$1".
func (b *bench) shell(side, pipeline string, files []string) entrant {
	return b.one(side, func(ctx context.Context, _ string) (sample, error) {
		script := "set -eu; for f; do set -- \"$f\"; " + pipeline + "; done >/dev/null"
		return timed(b.command(ctx, "sh", append([]string{"-c", script, "sh"}, files...)...))
	})
}

// layerfsImport imports an archive into an empty store.
func (b *bench) layerfsImport(src string) entrant {
	return b.one(us, func(ctx context.Context, dir string) (sample, error) {
		return timed(b.command(ctx, b.layerfs, "--root", filepath.Join(dir, "store"), "import", src))
	})
}

// packed is a layout as one archive file, as images travel.
func (b *bench) packed(ctx context.Context, layout string) (string, error) {
	archive := layout + ".tar"
	_, err := b.do(ctx, "tar", "-cf", archive, "-C", layout, ".")
	return archive, err
}

func (b *bench) gzipImport(ctx context.Context, input func(context.Context) (*image, error)) ([]entrant, error) {
	im, err := input(ctx)
	if err != nil {
		return nil, err
	}
	layout, blobs, err := im.compressed(ctx, "gzip")
	if err != nil {
		return nil, err
	}
	b.report.compressed(im.name, blobs)
	if b.mode == quickSize.mode {
		b.report.note("the quick form imports %d files and %d small ones; the goals of images are meant for the full form's %d and %d",
			b.files, b.small, fullSize.files, fullSize.small)
	}
	archive, err := b.packed(ctx, layout)
	if err != nil {
		return nil, err
	}
	entrants := []entrant{
		b.layerfsImport(archive),
		b.shell(zcatSum, `gzip -dc <"$1" | sha256sum`, blobs),
	}
	if b.podman != nil {
		entrants = append(entrants, b.podman.entrant(podmanLoad, "load", "-q", "-i", archive))
	}
	if im.name == "python" && b.has("umoci") { // the small files take it minutes, and there is no goal for them
		entrants = append(entrants, b.one(umociUnpack, func(ctx context.Context, dir string) (sample, error) {
			return timed(b.command(ctx, "umoci", "unpack", "--rootless", "--image", layout+":"+im.name, filepath.Join(dir, "bundle")))
		}))
	}
	return entrants, nil
}

func (b *bench) zstdImport(ctx context.Context) ([]entrant, error) {
	im, err := b.python(ctx)
	if err != nil {
		return nil, err
	}
	layout, _, err := im.compressed(ctx, "zstd")
	if err != nil {
		return nil, err
	}
	entrants := []entrant{b.layerfsImport(layout)}
	if b.podman != nil {
		entrants = append(entrants, b.podman.entrant(podmanPull, "pull", "-q", "oci:"+layout+":"+im.name))
	}
	return entrants, nil
}

// exports writes every layer of an image, a command for each: layerfs has no other way to get a layer's tar. It checks the
// digest of what it writes, so the peer has to.
func (b *bench) exports(ctx context.Context) ([]entrant, error) {
	im, err := b.python(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := b.do(ctx, b.layerfs, "--root", b.store, "import", im.layout()); err != nil {
		return nil, err
	}
	chains, err := b.chainsOf(ctx, im)
	if err != nil {
		return nil, err
	}
	tars := make([]string, len(im.layers))
	for i := range im.layers {
		tars[i] = im.tar(i)
	}
	ours := b.one(us, func(ctx context.Context, _ string) (sample, error) {
		var total sample
		for _, id := range chains {
			s, err := timed(b.command(ctx, b.layerfs, "--root", b.store, "export", id))
			if err != nil {
				return total, err
			}
			total.Seconds += s.Seconds
			total.CPU += s.CPU
			total.Peak = max(total.Peak, s.Peak)
		}
		return total, nil
	})
	return []entrant{ours, b.shell(catSum, `cat "$1" | sha256sum`, tars)}, nil
}

// bigLayer registers one layer of one file that comes through a pipe. It is there for its memory.
func (b *bench) bigLayer(context.Context) ([]entrant, error) {
	layer := []file{{path: "huge", mode: 0o644, size: b.huge, open: noise("huge", b.huge)}}
	feed := func(ctx context.Context, name string, args ...string) (sample, error) {
		cmd := b.command(ctx, name, args...)
		r, w := io.Pipe()
		defer r.Close() // ends the writer when the command has ended early
		go func() { w.CloseWithError(writeTar(w, layer, built)) }()
		cmd.Stdin = cancellable{ctx, r}
		return timed(cmd)
	}
	return []entrant{
		b.one(us, func(ctx context.Context, dir string) (sample, error) {
			return feed(ctx, b.layerfs, "--root", filepath.Join(dir, "store"), "register", "-")
		}),
		b.one(plainSum, func(ctx context.Context, _ string) (sample, error) { return feed(ctx, "sha256sum") }),
	}, nil
}

// chainsOf computes the ChainIDs of an image's layers, lowest first (OCI image-spec, config.md, "Layer ChainID").
func (b *bench) chainsOf(ctx context.Context, im *image) ([]string, error) {
	text, err := b.do(ctx, b.layerfs, "--root", b.store, "layers", "-q")
	if err != nil {
		return nil, err
	}
	known := strings.Fields(text)
	var ids []string
	for i, l := range im.layers {
		id := l.Digest.String()
		if i > 0 {
			id = digest.FromString(ids[i-1] + " " + id).String()
		}
		if !slices.Contains(known, id) {
			return nil, fmt.Errorf("layerfs has no chain %s for layer %d of image %s", id, i, im.name)
		}
		ids = append(ids, id)
	}
	return ids, nil
}
