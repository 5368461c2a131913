package main

import (
	"strings"
	"testing"

	"github.com/layerfs/layerfs/tarindex"
)

func TestLimitFlag(t *testing.T) {
	for _, tc := range []struct {
		text string
		want tarindex.Limits
		err  string // a part of it
	}{
		{"entries=5", tarindex.Limits{Entries: 5}, ""},
		{"entries=3Ki,size=2GiB", tarindex.Limits{Entries: 3072, Size: 2147483648}, ""},
		{"size=10Mi", tarindex.Limits{Size: 10485760}, ""},
		{"header=7B", tarindex.Limits{Header: 7}, ""},
		{"window=1TiB,depth=2", tarindex.Limits{Window: 1099511627776, Depth: 2}, ""},
		{"entries=5B", tarindex.Limits{}, `"5B" is no number`},
		{"entries", tarindex.Limits{}, "NAME=N"},
		{"entries=", tarindex.Limits{}, "no number"},
		{"entries=0", tarindex.Limits{}, "above 0"},
		{"entries=-1", tarindex.Limits{}, "above 0"},
		{"size=10GB", tarindex.Limits{}, "Ki, Mi, Gi, Ti"},
		{"size=1.5GiB", tarindex.Limits{}, "no number"},
		{"size=8388608Ti", tarindex.Limits{}, "too big"},
		{"size=99999999999999999999", tarindex.Limits{}, "too big"},
		{"sizes=1", tarindex.Limits{}, `no limit "sizes"; there are entries, names,`},
		{"size=1,,", tarindex.Limits{Size: 1}, "NAME=N"},
	} {
		var got tarindex.Limits
		err := limits{&got}.Set(tc.text)
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: %+v, %v; want %+v, %q", tc.text, got, err, tc.want, tc.err)
		}
	}
}

// What the help text shows as a default can be given to --limit, and is that default.
func TestLimitDefaults(t *testing.T) {
	for _, k := range tarindex.AllLimits {
		text := formatQuantity(k.Default, k.Bytes)
		if n, err := parseQuantity(text, k.Bytes); err != nil || n != k.Default {
			t.Errorf("%s: %s is read as %d, %v; want %d", k.Name, text, n, err, k.Default)
		}
	}
}
