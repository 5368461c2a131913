package e2e

import (
	"encoding/json"
	"strings"
)

// inspected is what these tests read of `inspect`.
type inspected struct {
	ChainID string
	DiffID  string
	Parent  string
	Name    string
}

func (b *box) inspect(ref string) inspected {
	b.t.Helper()
	var v inspected
	out := b.layerfs("inspect", ref)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		b.t.Fatalf("inspect %s: %v\n%s", ref, err, out)
	}
	if v.ChainID == "" {
		b.t.Fatalf("inspect %s has no chainID: %s", ref, out)
	}
	return v
}

// numbers reads a flat JSON object of numbers.
func (b *box) numbers(args ...string) map[string]float64 {
	b.t.Helper()
	var v map[string]float64
	out := b.layerfs(args...)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		b.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return v
}
