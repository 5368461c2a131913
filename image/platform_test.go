package image

import (
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestParsePlatform(t *testing.T) {
	for in, want := range map[string]string{
		"linux/amd64":    "linux/amd64",
		"amd64":          "linux/amd64",
		"x86_64":         "linux/amd64",
		"linux/amd64/v1": "linux/amd64",
		"linux/amd64/v3": "linux/amd64/v3",
		"Linux/ARM64":    "linux/arm64",
		"aarch64":        "linux/arm64",
		"linux/arm64/v8": "linux/arm64",
		"linux/arm64/8":  "linux/arm64",
		"linux/arm/v7":   "linux/arm",
		"arm/v6":         "linux/arm/v6",
		"armhf":          "linux/arm",
		"armel":          "linux/arm/v6",
		"i386":           "linux/386",
		"windows/amd64":  "windows/amd64",
		"s390x":          "linux/s390x",
	} {
		p, err := ParsePlatform(in)
		if err != nil || platformString(p) != want {
			t.Errorf("%s: %s, %v, want %s", in, platformString(p), err, want)
		}
	}
	for _, bad := range []string{"", "/", "linux/", "/amd64", "a/b/c/d", "linux//v8"} {
		if p, err := ParsePlatform(bad); !errors.Is(err, ErrPlatform) {
			t.Errorf("%q: %+v, %v", bad, p, err)
		}
	}
}

// TestPlatformChoice: what an index offers, what is wanted, what is taken. The rules are those of containerd's
// platforms package: the machine's own variant, else the highest below it.
func TestPlatformChoice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		offers string // the last element of the choice is the image's mark
		want   string
		take   string // "" = none
	}{
		{"linux/amd64 linux/arm64", "linux/arm64", "linux/arm64"},
		{"linux/amd64 linux/arm64/v8", "linux/arm64", "linux/arm64/v8"},
		{"linux/arm64 linux/amd64", "linux/arm64/v8", "linux/arm64"},
		{"linux/arm/v5 linux/arm/v6 linux/arm/v7", "linux/arm/v7", "linux/arm/v7"},
		{"linux/arm/v5 linux/arm/v6 linux/arm/v7", "linux/arm", "linux/arm/v7"},
		{"linux/arm/v5 linux/arm/v6 linux/arm/v7", "linux/arm/v6", "linux/arm/v6"},
		{"linux/arm/v5 linux/arm/v7", "linux/arm/v6", "linux/arm/v5"},
		{"linux/arm/v7", "linux/arm/v6", ""},
		{"linux/amd64 linux/amd64/v2 linux/amd64/v3", "linux/amd64", "linux/amd64"},
		{"linux/amd64 linux/amd64/v2 linux/amd64/v3", "linux/amd64/v2", "linux/amd64/v2"},
		{"linux/amd64 linux/amd64/v2", "linux/amd64/v4", "linux/amd64/v2"},
		{"linux/amd64/v2 linux/amd64/v3", "linux/amd64", ""},
		{"windows/amd64 linux/amd64", "linux/amd64", "linux/amd64"},
		{"windows/amd64 freebsd/amd64", "linux/amd64", ""},
		{"linux/riscv64", "linux/amd64", ""},
		{"linux/riscv64", "", "linux/riscv64"}, // no choice, no question
		{"linux/386 linux/" + runtime.GOARCH, "", "linux/" + runtime.GOARCH},
		{"linux/riscv64 linux/mips64le", "", ""},
	} {
		t.Run(strings.ReplaceAll(c.offers, " ", ",")+" for "+c.want, func(t *testing.T) {
			dir := t.TempDir()
			var inner []object
			byOffer := map[string]string{}
			for _, offer := range strings.Fields(c.offers) {
				p := strings.Split(offer+"/", "/")
				// The same layers with another config: what tells the images apart.
				f := &fixture{config: toJSON(t, object{"os": p[0], "architecture": p[1], "variant": p[2], "rootfs": object{"type": "layers", "diff_ids": []string{}}})}
				inner = append(inner, with(f.putManifest(t, dir, "", ""), platform(p[0], p[1], p[2])))
				byOffer[sha(f.config)] = offer
			}
			nested := putBlob(t, dir, toJSON(t, object{"schemaVersion": 2, "manifests": inner}), testOCIIndex)
			for _, index := range [][]object{{with(nested, refName("multi:1"))}, inner} {
				putIndex(t, dir, index...)
				images, err := Import(t.Context(), newStore(t), dir, Options{Platform: c.want})
				if c.take == "" {
					if !errors.Is(err, ErrPlatform) {
						t.Fatalf("%v", err)
					}
					for _, offer := range strings.Fields(c.offers) {
						if !strings.Contains(err.Error(), offer) {
							t.Errorf("error %q does not list %s", err, offer)
						}
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := byOffer[images[0].Config.String()]; len(images) != 1 || got != c.take {
					t.Errorf("took %s (%d images), want %s", got, len(images), c.take)
				}
			}
		})
	}
}

// TestPartialIndex: `docker save` writes the whole index and the blobs of one platform, which may not be the host's.
func TestPartialIndex(t *testing.T) {
	dir := t.TempDir()
	there := &fixture{config: []byte(`{"os":"linux","architecture":"riscv64","rootfs":{"type":"layers","diff_ids":[]}}`)}
	absent := object{"mediaType": testOCIManifest, "digest": sha([]byte("x")), "size": 1}
	putIndex(t, dir,
		with(absent, platform("linux", runtime.GOARCH, "")),
		with(there.putManifest(t, dir, "", ""), platform("linux", "riscv64", "")))
	images, err := Import(t.Context(), newStore(t), dir, Options{})
	if err != nil || images[0].Config.String() != sha(there.config) {
		t.Errorf("%+v, %v", images, err)
	}
	if _, err := Import(t.Context(), newStore(t), dir, Options{Platform: "s390x"}); !errors.Is(err, ErrPlatform) {
		t.Errorf("%v", err)
	}
	putIndex(t, dir, with(absent, platform("linux", runtime.GOARCH, "")))
	checkRefused(t, dir, ErrMissing, hexOf(sha([]byte("x"))))
}

// TestPlatformOfConfig: entries without a platform are asked for their config's, in each form.
func TestPlatformOfConfig(t *testing.T) {
	amd, arm := fixtureOf(t, "amd64", map[string]string{"a": ""}), fixtureOf(t, "arm64", map[string]string{"a": ""})
	dir := t.TempDir()
	putIndex(t, dir, amd.putManifest(t, dir, "", ""), arm.putManifest(t, dir, "", ""))
	images, err := Import(t.Context(), newStore(t), dir, Options{Platform: "arm64"})
	if err != nil || len(images) != 1 || images[0].Config.String() != sha(arm.config) {
		t.Errorf("layout: %+v, %v", images, err)
	}
	for _, src := range []string{amd.archive(t), amd.legacy(t)} {
		if _, err := Import(t.Context(), newStore(t), src, Options{Platform: "amd64"}); err != nil {
			t.Error(err)
		}
		if _, err := Import(t.Context(), newStore(t), src, Options{Platform: "arm64"}); !errors.Is(err, ErrPlatform) || !strings.Contains(err.Error(), "linux/amd64") {
			t.Errorf("%s: %v", filepath.Base(src), err)
		}
	}
}
