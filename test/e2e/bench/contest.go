package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A contest is one piece of work that several sides do, in alternating order.
type contest struct {
	table, work string
	reference   string  // side that ratios are shown to
	unit        unit    // what is compared
	goals       []goal  // what layerfs is to reach
	weight      float64 // share of the time, relative to other contests
	// enter makes the inputs and tells who takes part; it is not measured.
	enter func(ctx context.Context) ([]entrant, error)
}

// An entrant is one side of one contest.
type entrant struct {
	side string
	run  func(ctx context.Context) ([]pass, error) // once per round; a pass per phase
}

// A pass is one phase of the work ("cold", "warm", "" if it has one only).
type pass struct {
	phase string
	sample
}

// A sample is one measurement.
type sample struct {
	Seconds   float64 `json:"seconds"`
	CPU       float64 `json:"cpuSeconds"`                 // of the daemon, for commands of the command and its children
	ClientCPU float64 `json:"clientCPUSeconds,omitempty"` // of those who use the mount
	Peak      int64   `json:"peakBytes,omitempty"`        // resident memory: the daemon's or command's highest
	Resident  int64   `json:"residentBytes,omitempty"`    // resident memory at the end
	Written   int64   `json:"writtenBytes,omitempty"`     // what a command and its children gave the kernel to write
	Count     int64   `json:"count,omitempty"`            // entries or bytes; the same for all sides
}

// A unit is what a contest compares.
type unit struct {
	name string
	of   func(sample) float64
}

var (
	seconds       = unit{"s", func(s sample) float64 { return s.Seconds }}
	milliseconds  = unit{"ms", func(s sample) float64 { return s.Seconds * 1e3 }}
	microsPerFile = unit{"us/file", func(s sample) float64 { return s.Seconds * 1e6 / float64(max(s.Count, 1)) }}
	megabytes     = unit{"MB", func(s sample) float64 { return float64(s.Resident) / 1e6 }}
)

// key names a cell of a contest.
type key struct{ phase, side string }

// outcome collects the samples of a contest, one per round in each cell.
type outcome struct {
	contest *contest
	sides   []string
	phases  []string
	samples map[key][]sample
}

func (o *outcome) add(side string, passes []pass) {
	for _, p := range passes {
		if !slices.Contains(o.phases, p.phase) {
			o.phases = append(o.phases, p.phase)
		}
		k := key{p.phase, side}
		o.samples[k] = append(o.samples[k], p.sample)
	}
}

// drop removes a side that failed, so that a half of its work is not taken for the whole.
func (o *outcome) drop(side string) {
	o.sides = slices.DeleteFunc(o.sides, func(s string) bool { return s == side })
	for _, phase := range o.phases {
		delete(o.samples, key{phase, side})
	}
}

// median of the contest's unit; ok is false when the side has no such phase.
func (o *outcome) median(phase, side string) (value float64, ok bool) {
	return median(o.values(phase, side, o.contest.unit.of))
}

// ratio is the median of a/b over the rounds that both have made.
func (o *outcome) ratio(of func(sample) float64, phase, a, b string) (value float64, ok bool) {
	over, under := o.values(phase, a, of), o.values(phase, b, of)
	n := min(len(over), len(under))
	ratios := make([]float64, 0, n)
	for i := range n {
		if under[i] > 0 {
			ratios = append(ratios, over[i]/under[i])
		}
	}
	return median(ratios)
}

func (o *outcome) values(phase, side string, of func(sample) float64) []float64 {
	var values []float64
	for _, s := range o.samples[key{phase, side}] {
		values = append(values, of(s))
	}
	return values
}

// sameCount finds sides that have done different work.
func (o *outcome) sameCount() error {
	for _, phase := range o.phases {
		first := key{}
		for _, side := range o.sides {
			k := key{phase, side}
			if len(o.samples[k]) == 0 {
				continue
			}
			if first == (key{}) {
				first = k
			}
			for _, s := range o.samples[k] {
				if want := o.samples[first][0].Count; s.Count != want {
					return fmt.Errorf("%s has found %d, %s %d (%s): they have not done the same work",
						first.side, want, side, s.Count, phase)
				}
			}
		}
	}
	return nil
}

// median of any number of values; ok is false when there are none.
func median(values []float64) (m float64, ok bool) {
	if len(values) == 0 {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid], true
	}
	return (sorted[mid-1] + sorted[mid]) / 2, true
}

// order is who runs when in a round: every second round is the one before backwards, and after each such pair the
// next one begins. So each side has every place and every neighbour in turn.
func order(n, round int) []int {
	places := make([]int, n)
	for i := range places {
		places[i] = (i + round/2) % n
	}
	if round%2 == 1 {
		slices.Reverse(places)
	}
	return places
}

// hold runs the contests one after the other and spreads the time over them by weight; what one does not use, the
// later ones get. It ends early only when ctx does. The error tells every contest that layerfs itself failed.
func (b *bench) hold(ctx context.Context, contests []*contest) error {
	deadline := b.report.Started.Add(b.budget)
	var left float64
	for _, c := range contests {
		left += c.weight
	}
	var failures []error
	for i, c := range contests {
		share := time.Duration(float64(time.Until(deadline)) * c.weight / left)
		left -= c.weight
		b.logf("[%d/%d] %s: %s", i+1, len(contests), c.table, c.work)
		o, err := b.contend(ctx, c, max(share, 0))
		if ctx.Err() != nil {
			return errInterrupted
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %s: %w", c.table, c.work, err))
			b.logf("      FAILED: %v", err)
			continue
		}
		b.report.add(o)
	}
	return errors.Join(failures...)
}

// contend holds one contest. A peer that fails is dropped with a note; a failure of layerfs is the contest's.
func (b *bench) contend(ctx context.Context, c *contest, share time.Duration) (*outcome, error) {
	entrants, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	o := &outcome{contest: c, samples: make(map[key][]sample)}
	for _, e := range entrants {
		o.sides = append(o.sides, e.side)
	}
	p := newPace(len(entrants), b.rounds, share)
	for round := 0; p.next(); round++ {
		for _, i := range order(len(entrants), round) {
			if p.stopped[i] {
				continue
			}
			e, start := entrants[i], time.Now()
			passes, err := e.run(ctx)
			p.took(i, time.Since(start))
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case err != nil && e.side == us:
				return nil, err
			case err != nil:
				p.stop(i)
				o.drop(e.side)
				b.report.note("%s: %s: %s is left out: %v", c.table, c.work, e.side, err)
			default:
				o.add(e.side, passes)
			}
		}
	}
	return o, o.sameCount()
}
