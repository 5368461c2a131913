package main

import (
	"cmp"
	"slices"
	"time"
)

// enough rounds make a median that one disturbed round does not move.
const enough = 5

// A pace decides who still takes part when the time of a contest gets short. One round everybody makes. Then time is kept
// for layerfs to make enough rounds, then for the quickest peer, and so on: who takes longest stops first, for good, so that
// the rounds of two sides stay comparable one by one.
type pace struct {
	share   time.Duration
	rounds  int
	spent   []time.Duration // by each entrant, with the clearing up after it
	made    []int
	stopped []bool
}

func newPace(n, rounds int, share time.Duration) *pace {
	return &pace{share, rounds, make([]time.Duration, n), make([]int, n), make([]bool, n)}
}

// took notes what a round has cost an entrant.
func (p *pace) took(i int, d time.Duration) {
	p.spent[i] += d
	p.made[i]++
}

// stop takes an entrant out.
func (p *pace) stop(i int) { p.stopped[i] = true }

// next stops those for whom the time does not suffice; false when the contest is over. The first entrant is layerfs.
func (p *pace) next() bool {
	left := p.share
	mean := make([]time.Duration, len(p.spent))
	var first, others []int
	for i, spent := range p.spent {
		left -= spent
		if p.stopped[i] {
			continue
		}
		if p.made[i] == 0 {
			return true // the first round
		}
		mean[i] = spent / time.Duration(p.made[i])
		if i == 0 {
			first = []int{i}
		} else {
			others = append(others, i)
		}
	}
	slices.SortStableFunc(others, func(a, b int) int { return cmp.Compare(mean[a], mean[b]) })
	var kept time.Duration
	for _, i := range append(first, others...) {
		if p.made[i] >= p.rounds || kept+mean[i] > left {
			p.stop(i)
			continue
		}
		kept += mean[i] * time.Duration(max(1, min(enough, p.rounds)-p.made[i]))
	}
	return !p.stopped[0]
}
