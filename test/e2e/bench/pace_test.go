package main

import (
	"slices"
	"testing"
	"time"
)

// Rounds are simulated: a side takes as long as costs says, layerfs first.
func TestPace(t *testing.T) {
	for name, test := range map[string]struct {
		costs  []int
		rounds int
		share  int
		want   []int
	}{
		"time for all":                 {[]int{5, 5, 20, 20}, 5, 1000, []int{5, 5, 5, 5}},
		"no time: one round each":      {[]int{5, 5, 20, 20}, 5, 0, []int{1, 1, 1, 1}},
		"the slow ones stop first":     {[]int{5, 5, 20, 30}, 5, 150, []int{5, 5, 3, 1}},
		"time for layerfs only":        {[]int{10, 11, 12}, 5, 75, []int{5, 1, 1}},
		"the quick ones stay together": {[]int{10, 10, 2}, 5, 72, []int{3, 3, 3}},
		"also with a slow layerfs":     {[]int{20, 5, 21}, 5, 140, []int{4, 4, 1}},
		"not even for layerfs":         {[]int{10, 1}, 5, 20, []int{1, 1}},
		"as many as the time allows":   {[]int{1, 1}, 1000, 40, []int{20, 20}},
		"fewer rounds wanted":          {[]int{5, 5}, 2, 1000, []int{2, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPace(len(test.costs), test.rounds, time.Duration(test.share)*time.Second)
			for p.next() {
				for i, cost := range test.costs {
					if !p.stopped[i] {
						p.took(i, time.Duration(cost)*time.Second)
					}
				}
			}
			if !slices.Equal(p.made, test.want) {
				t.Errorf("rounds %v, want %v", p.made, test.want)
			}
		})
	}
}

// A side that fails in the first round does not keep the others from their next ones.
func TestPaceWithoutOne(t *testing.T) {
	p := newPace(2, 3, time.Hour)
	for p.next() {
		p.took(0, time.Second)
		p.stop(1)
	}
	if p.made[0] != 3 {
		t.Errorf("layerfs has made %d rounds, want 3", p.made[0])
	}
}
