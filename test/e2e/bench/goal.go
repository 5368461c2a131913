package main

// A goal is what layerfs is to reach in one phase of a contest: against a peer a ratio, by itself a figure.
type goal struct {
	phase   string
	side    string // whom layerfs is compared with; layerfs itself for a figure of its own
	measure unit   // what is compared
	most    float64
}

var (
	elapsed = unit{"time", func(s sample) float64 { return s.Seconds }}
	cpu     = unit{"CPU", func(s sample) float64 { return s.CPU }}
	peak    = unit{"peak MiB", func(s sample) float64 { return float64(s.Peak) / (1 << 20) }}
)

// faster is a goal for the time: at most so many parts of a peer's.
func faster(phase, side string, most float64) goal { return goal{phase, side, elapsed, most} }

// verdict is a goal and what was reached.
type verdict struct {
	Measure string  `json:"measure"`
	Reached float64 `json:"reached"`
	Most    float64 `json:"goal"`
}

func (v verdict) met() bool { return v.Reached <= v.Most }

func (v verdict) word() string {
	if v.met() {
		return "met"
	}
	return "MISSED"
}

// judge compares an outcome with one of its goals; ok is false when there is nothing to compare: the peer is left out, or
// the command was too short for its memory to be seen.
func (o *outcome) judge(g goal) (v verdict, ok bool) {
	v = verdict{Measure: g.measure.name, Most: g.most}
	if g.side != us {
		v.Reached, ok = o.ratio(g.measure.of, g.phase, us, g.side)
		return v, ok
	}
	for _, value := range o.values(g.phase, us, g.measure.of) {
		v.Reached = max(v.Reached, value) // a bound holds in every round, not in most
	}
	return v, v.Reached > 0
}
