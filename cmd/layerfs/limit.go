package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/layerfs/layerfs/tarindex"
)

// limitFlag adds --limit, for commands that read layer tars from elsewhere.
func limitFlag(cmd *cobra.Command, l *tarindex.Limits) {
	cmd.Flags().Var(limits{l}, "limit", "bound what a layer may ask for, as in entries=1Mi,size=10GiB; may be repeated")
	cmd.Long += "\n\n" + limitHelp()
}

// limits is the value of --limit: NAME=N, any number of them with commas between.
type limits struct{ *tarindex.Limits }

// Type implements pflag.Value: what the help text calls the value.
func (limits) Type() string { return "NAME=N" }

// String implements pflag.Value: the default, which the help text has elsewhere.
func (limits) String() string { return "" }

// Set implements pflag.Value.
func (l limits) Set(text string) error {
	for pair := range strings.SplitSeq(text, ",") {
		name, number, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("%q is not of the form NAME=N; NAME is one of %s", pair, limitNames())
		}
		limit, ok := findLimit(name)
		if !ok {
			return fmt.Errorf("there is no limit %q; there are %s", name, limitNames())
		}
		n, err := parseQuantity(number, limit.Bytes)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		*limit.In(l.Limits) = n
	}
	return nil
}

// unlimited is for layers that layerfs itself makes: what somebody could write into a mount can be committed, too.
func unlimited() tarindex.Limits {
	var l tarindex.Limits
	for _, k := range tarindex.AllLimits {
		*k.In(&l) = math.MaxInt64
	}
	return l
}

func findLimit(name string) (tarindex.Limit, bool) {
	for _, k := range tarindex.AllLimits {
		if k.Name == name {
			return k, true
		}
	}
	return tarindex.Limit{}, false
}

func limitNames() string {
	var names []string
	for _, k := range tarindex.AllLimits {
		names = append(names, k.Name)
	}
	return strings.Join(names, ", ")
}

// units of quantities. There are no powers of ten, since half the world means powers of two by them.
var units = []string{"", "Ki", "Mi", "Gi", "Ti"}

// parseQuantity reads a positive number with an optional unit; a number of bytes may have a B behind it.
func parseQuantity(text string, bytes bool) (int64, error) {
	rest := text
	if bytes {
		rest = strings.TrimSuffix(rest, "B")
	}
	shift := 0
	for i, unit := range units[1:] {
		if before, ok := strings.CutSuffix(rest, unit); ok {
			rest, shift = before, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(rest, 10, 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is too big a number", text)
	}
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%q is no number above 0 with one of the units %s", text, strings.Join(units[1:], ", "))
	}
	return n << shift, nil
}

// formatQuantity writes n with the biggest unit that leaves a whole number.
func formatQuantity(n int64, bytes bool) string {
	i := 0
	for i < len(units)-1 && n%1024 == 0 {
		n >>= 10
		i++
	}
	text := strconv.FormatInt(n, 10) + units[i]
	if bytes {
		text += "B"
	}
	return text
}

// limitHelp is the table of limits, with their defaults.
func limitHelp() string {
	var b strings.Builder
	b.WriteString("--limit bounds what a layer may ask for (with the defaults):\n")
	for _, k := range tarindex.AllLimits {
		fmt.Fprintf(&b, "  %-18s %s\n", k.Name+"="+formatQuantity(k.Default, k.Bytes), k.Bounds)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// limitHint tells how to raise the limit that an error is about; "" if it is about none.
func limitHint(err error) string {
	var exceeded *tarindex.LimitError
	if !errors.As(err, &exceeded) {
		return ""
	}
	return fmt.Sprintf("if you trust where it comes from, raise the limit: --limit %s=N", exceeded.Limit)
}
