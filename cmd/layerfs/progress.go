package main

import (
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// bar is a progress bar on stderr, or nothing when stderr is not a terminal: pipes and logs stay clean.
// Its methods are safe for concurrent use.
type bar struct {
	container *mpb.Progress
	bar       *mpb.Bar
}

// progress starts a bar. total is in bytes; 0 means that nobody knows.
func (a *app) progress(label string, total int64) *bar {
	if !isTerminal(a.err) {
		return &bar{}
	}
	container := mpb.New(mpb.WithOutput(a.err), mpb.WithWidth(40), mpb.WithRefreshRate(100*time.Millisecond))
	before := mpb.PrependDecorators(decor.Name(label+" "), decor.CountersKibiByte("% .1f / % .1f"))
	after := mpb.AppendDecorators(decor.Percentage(), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO))
	style := mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]")
	if total <= 0 {
		before = mpb.PrependDecorators(decor.Name(label+" "), decor.CurrentKibiByte("% .1f"))
		after = mpb.AppendDecorators(decor.AverageSpeed(decor.SizeB1024(0), "% .1f"))
	}
	return &bar{container, container.New(total, style, before, after, mpb.BarRemoveOnComplete())}
}

// add tells that n more bytes are done.
func (b *bar) add(n int64) {
	if b.bar != nil {
		b.bar.IncrInt64(n)
	}
}

// set tells how much is done and of how much.
func (b *bar) set(done, total int64) {
	if b.bar != nil {
		b.bar.SetTotal(total, false)
		b.bar.SetCurrent(done)
	}
}

// end takes the bar off the screen.
func (b *bar) end() {
	if b.bar != nil {
		b.bar.Abort(true)
		b.container.Wait()
	}
}
