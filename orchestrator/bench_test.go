package orchestrator_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/livegen/example"
)

// BenchmarkCall compares a call through a proxy with a direct one and with other ways to guard a call, all through the same
// interface and all released by defer. Right after each measurement the same number of direct calls is measured: x-direct is
// the ratio. With -cpu 1,2, scaling is how many times the calls of one processor the calls of all are: 2 of 2 at best.
//
//	go test -run '^$' -bench Call -cpu 1,2 -count 10 ./orchestrator
//
// An evaluation of a flag for each call, which is what the engine spares, is measured in toggles/bench_test.go.
func BenchmarkCall(b *testing.B) {
	impl := &adder{}
	to := startScheduler(b, impl)
	single := map[string]float64{} // ns per call with one processor
	for _, bb := range []struct {
		name string
		to   example.Scheduler
	}{
		{"direct", impl},
		{"generated proxy", to.value},
		{"hand-written proxy", &handProxy{live: to.live}},
		{"RWMutex", &mutexProxy{to: impl}},
		{"one atomic count", &countProxy{to: impl}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			addAll(b, bb.to)
			each := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			b.StopTimer()
			direct := addAll(b, impl)
			b.ReportMetric(each/(float64(direct.Nanoseconds())/float64(b.N)), "x-direct")
			if runtime.GOMAXPROCS(0) == 1 {
				single[bb.name] = each
			} else if alone, ok := single[bb.name]; ok {
				b.ReportMetric(alone/each, "scaling")
			}
		})
	}
}

// addAll makes b.N calls on all processors and returns how long they took.
func addAll(b *testing.B, to example.Scheduler) time.Duration {
	jobs := make([]example.Job, 1)
	began := time.Now()
	b.RunParallel(func(pb *testing.PB) {
		ctx := b.Context()
		for pb.Next() {
			if n, err := to.Add(ctx, jobs...); n != 1 || err != nil {
				b.Error(n, err)
			}
		}
	})
	return time.Since(began)
}

// adder is the implementation: a call that does as good as nothing.
type adder struct{ example.Scheduler }

//go:noinline
func (*adder) Add(_ context.Context, jobs ...example.Job) (int, error) { return len(jobs), nil }

// handProxy is the proxy that one would write.
type handProxy struct {
	live *orchestrator.Live[example.Scheduler]
	example.Scheduler
}

func (p *handProxy) Add(ctx context.Context, jobs ...example.Job) (int, error) {
	lease := p.live.Acquire()
	defer lease.Release()
	return lease.Value.Add(ctx, jobs...)
}

// mutexProxy would be replaced under a write lock, which waits for the calls, and which new calls wait for.
type mutexProxy struct {
	mu sync.RWMutex
	to example.Scheduler
	example.Scheduler
}

func (p *mutexProxy) Add(ctx context.Context, jobs ...example.Job) (int, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.to.Add(ctx, jobs...)
}

// countProxy counts all calls on one word.
type countProxy struct {
	calls atomic.Int64
	to    example.Scheduler
	example.Scheduler
}

func (p *countProxy) Add(ctx context.Context, jobs ...example.Job) (int, error) {
	p.calls.Add(1)
	defer p.calls.Add(-1)
	return p.to.Add(ctx, jobs...)
}

type runningScheduler struct {
	value example.Scheduler
	live  *orchestrator.Live[example.Scheduler]
}

func startScheduler(b *testing.B, impl example.Scheduler) runningScheduler {
	b.Helper()
	var s runningScheduler
	var o *orchestrator.Orchestrator
	app := fxtest.New(b, fx.NopLogger, orchestrator.New(), fx.Populate(&o, &s.value, &s.live),
		fx.Provide(func() orchestrator.Gate { return newGate("scheduler") }),
		orchestrator.Module("scheduler", orchestrator.Flag("scheduler"),
			orchestrator.Export(example.NoopScheduler(), example.LiveScheduler),
			orchestrator.Provide(func() example.Scheduler { return impl })))
	app.RequireStart()
	b.Cleanup(func() { app.RequireStop() })
	if !s.live.Enabled() {
		b.Fatal("the module does not run")
	}
	return s
}

// BenchmarkToggle is one switch on and off of a module that does nothing itself: the engine's own cost.
func BenchmarkToggle(b *testing.B) {
	g := newGate()
	a := startApp(b, g, mailerModule(orchestrator.Provide(func() mailer { return &idleMailer{} })))
	b.ReportAllocs()
	for b.Loop() {
		g.set("mail", true)
		a.settle(b)
		g.set("mail", false)
		a.settle(b)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(2*b.N), "ms/switch")
}

type idleMailer struct{}

func (*idleMailer) Send(context.Context) error { return nil }
