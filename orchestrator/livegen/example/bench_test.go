package example_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/livegen/example"
)

// handWritten is the proxy that one would write.
type handWritten struct {
	example.Scheduler
	live *orchestrator.Live[example.Scheduler]
}

func (p handWritten) Add(ctx context.Context, jobs ...example.Job) (int, error) {
	lease := p.live.Acquire()
	defer lease.Release()
	return lease.Value.Add(ctx, jobs...)
}

// unprotected releases without defer: the lease would be lost if the call panicked.
type unprotected struct {
	example.Scheduler
	live *orchestrator.Live[example.Scheduler]
}

func (p unprotected) Add(ctx context.Context, jobs ...example.Job) (int, error) {
	lease := p.live.Acquire()
	added, err := lease.Value.Add(ctx, jobs...)
	lease.Release()
	return added, err
}

// BenchmarkProxy compares calls through the generated proxy with direct ones and with proxies written by hand. Run it with
// -cpu 1,2; ns/op is over all of them.
func BenchmarkProxy(b *testing.B) {
	impl := &scheduler{}
	a := runScheduler(b, impl, longDrain)
	jobs := make([]example.Job, 1)
	direct := map[int]float64{} // by number of processors
	for _, bb := range []struct {
		name string
		to   example.Scheduler
	}{
		{"direct", impl},
		{"hand-written", handWritten{live: a.live}},
		{"generated", a.value},
		{"hand-written without defer", unprotected{live: a.live}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			ctx := b.Context()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if n, err := bb.to.Add(ctx, jobs...); n != 1 || err != nil {
						b.Error(n, err)
					}
				}
			})
			each := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			if bb.name == "direct" {
				direct[runtime.GOMAXPROCS(0)] = each
			}
			b.ReportMetric(each-direct[runtime.GOMAXPROCS(0)], "ns-over-direct/op")
		})
	}
}

func TestPlainCallsDoNotAllocate(t *testing.T) { // not parallel: it counts allocations
	a := runScheduler(t, &scheduler{}, longDrain)
	jobs := make([]example.Job, 1)
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		_, _ = a.value.Add(ctx, jobs...)
		_ = a.value.Count()
	}); n != 0 {
		t.Errorf("a call through the proxy allocates %v times, want 0", n)
	}
}
