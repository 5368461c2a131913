package image

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// archAliases are the kernel's and Debian's words for what OCI, with Go, calls otherwise.
var archAliases = map[string]v1.Platform{
	"x86_64":  {Architecture: "amd64"},
	"x86-64":  {Architecture: "amd64"},
	"i386":    {Architecture: "386"},
	"i686":    {Architecture: "386"},
	"aarch64": {Architecture: "arm64"},
	"armhf":   {Architecture: "arm", Variant: "v7"},
	"armel":   {Architecture: "arm", Variant: "v6"},
}

// baseVariant is what an absent variant stands for. A machine runs its own variant and all below.
var baseVariant = map[string]int{"amd64": 1, "arm64": 8, "arm": 7}

// ParsePlatform reads OS/ARCH[/VARIANT], or ARCH[/VARIANT] for Linux: "linux/arm64", "arm/v7", "x86_64".
func ParsePlatform(s string) (v1.Platform, error) {
	parts := strings.Split(strings.ToLower(s), "/")
	if len(parts) == 1 || strings.HasPrefix(parts[1], "v") {
		parts = slices.Insert(parts, 0, "linux")
	}
	if len(parts) > 3 || slices.Contains(parts, "") {
		return v1.Platform{}, fmt.Errorf("%w: %q is not OS/ARCH[/VARIANT], for example linux/arm64", ErrPlatform, s)
	}
	p := v1.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return normalize(p), nil
}

// hostPlatform is this machine's, in the form normalize gives.
func hostPlatform() v1.Platform {
	return normalize(v1.Platform{OS: "linux", Architecture: runtime.GOARCH})
}

// normalize writes the arch's OCI name and leaves out the variant that is understood by itself.
func normalize(p v1.Platform) v1.Platform {
	if a, ok := archAliases[p.Architecture]; ok {
		p.Architecture = a.Architecture
		if p.Variant == "" {
			p.Variant = a.Variant
		}
	}
	if p.Variant != "" && !strings.HasPrefix(p.Variant, "v") {
		p.Variant = "v" + p.Variant // "8" is seen in the wild
	}
	if base, ok := baseVariant[p.Architecture]; ok && p.Variant == "v"+strconv.Itoa(base) {
		p.Variant = ""
	}
	return p
}

// rank says how well a machine of platform want runs what was built for have: 0 not at all, more is better.
func rank(want, have v1.Platform) int {
	want, have = normalize(want), normalize(have)
	if want.OS != have.OS || want.Architecture != have.Architecture {
		return 0
	}
	if want.Variant == have.Variant {
		return 100
	}
	w, okW := variantLevel(want)
	h, okH := variantLevel(have)
	if !okW || !okH || h > w {
		return 0
	}
	return 1 + h
}

// variantLevel is the number in the variant; ok only where higher means "runs all that is lower".
func variantLevel(p v1.Platform) (level int, ok bool) {
	base, ok := baseVariant[p.Architecture]
	if !ok || p.Variant == "" {
		return base, ok
	}
	level, err := strconv.Atoi(strings.TrimPrefix(p.Variant, "v"))
	return level, err == nil && level > 0 && level < 90
}

func platformString(p v1.Platform) string {
	if p.OS == "" && p.Architecture == "" {
		return "unknown"
	}
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// platformError names what was wanted and all that is there.
func platformError(want v1.Platform, there []v1.Platform) error {
	var names []string
	for _, p := range there {
		names = append(names, platformString(p))
	}
	slices.Sort(names)
	return fmt.Errorf("%w: no image for %s; there is %s: choose one with --platform",
		ErrPlatform, platformString(want), strings.Join(slices.Compact(names), ", "))
}
