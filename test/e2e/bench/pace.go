package main

import (
	"cmp"
	"slices"
	"time"
)

// enough rounds make a median that one disturbed round does not move.
const enough = 5

// A pace decides who still takes part when the time of a contest gets short. One round everybody makes. Then time is kept
// for layerfs and the peers that are as quick to make enough rounds, then for the next peer, and so on: who takes longest
// stops first, for good, so that the rounds of two sides stay comparable one by one.
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
	var going []int
	for i, spent := range p.spent {
		left -= spent
		if p.stopped[i] {
			continue
		}
		if p.made[i] == 0 {
			return true // the first round
		}
		mean[i] = spent / time.Duration(p.made[i])
		going = append(going, i)
	}
	if p.made[0] >= p.rounds {
		return false
	}
	missing := time.Duration(max(1, min(enough, p.rounds)-p.made[0])) // rounds
	slices.SortStableFunc(going, func(a, b int) int { return cmp.Compare(mean[a], mean[b]) })
	var quick, kept time.Duration
	for _, i := range going {
		if mean[i] <= mean[0] {
			quick += mean[i]
			kept = quick * missing
		} else if kept+mean[i] > left {
			p.stop(i)
		} else {
			kept += mean[i] * missing
		}
	}
	return quick <= left
}
