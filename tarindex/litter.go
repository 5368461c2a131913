package tarindex

import (
	"runtime"
	"runtime/metrics"
)

// Reading headers leaves litter, and the garbage collector lets the heap grow to
// twice what lives before it looks at it. So the memory of a scan would be twice
// its worst, which is bounded, were the collector not called when there is much
// at stake: after each MiB of headers if they were big (the tar library takes
// thirty times the size of an extended header to read it) or if much lives (the
// window of a zstd frame). Other layers never get there. Beside a big tree all
// this does not count, but a collection would.
const (
	bigHeaders = 8 << 10 // of one entry
	litterMax  = 1 << 20
	heapSmall  = 24 << 20
	treeSmall  = 64 << 10 // nodes
)

// litter counts what the headers of entries leave behind.
type litter struct{ headers, big int64 }

// add notes an entry with headers of so many bytes, in a tree of so many nodes.
func (l *litter) add(bytes int64, nodes int) {
	l.headers += bytes
	if bytes > bigHeaders {
		l.big += bytes
	}
	if l.headers <= litterMax {
		return
	}
	if nodes < treeSmall && (l.big > litterMax || heapLive() > heapSmall) {
		runtime.GC()
		l.big = 0
	}
	l.headers = 0
}

// heapLive is what the collection before found alive.
func heapLive() uint64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return live[0].Value.Uint64()
}
