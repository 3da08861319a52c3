package orchestrator_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/detectviz/switchyard/orchestrator"
)

type counter struct{}

//go:noinline
func (c *counter) Send(context.Context) error { return nil }

// BenchmarkCall compares a call through the proxy with a direct one and with the ways of guarding a call that scale worse.
// Run it with -cpu 1,2.
func BenchmarkCall(b *testing.B) {
	g := newGate("mail")
	a := startApp(b, g, mailerModule(orchestrator.Provide(func() mailer { return &counter{} })))
	a.requireState(b, orchestrator.Running)
	ctx := context.Background()
	var direct mailer = &counter{}
	var mutex sync.RWMutex
	var single atomic.Int64
	for _, bb := range []struct {
		name string
		call func()
	}{
		{"direct", func() { _ = direct.Send(ctx) }},
		{"proxy", func() { _ = a.mail.Send(ctx) }},
		{"lease", func() {
			l := a.live.Acquire()
			_ = l.Value.Send(ctx)
			l.Release()
		}},
		{"RWMutex", func() { mutex.RLock(); _ = direct.Send(ctx); mutex.RUnlock() }},
		{"one counter", func() { single.Add(1); _ = direct.Send(ctx); single.Add(-1) }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					bb.call()
				}
			})
		})
	}
}

// BenchmarkToggle is one switch on and off of a module that does nothing itself: the engine's own cost.
func BenchmarkToggle(b *testing.B) {
	g := newGate()
	a := startApp(b, g, mailerModule(orchestrator.Provide(func() mailer { return &counter{} })))
	b.ReportAllocs()
	for b.Loop() {
		g.set("mail", true)
		a.settle(b)
		g.set("mail", false)
		a.settle(b)
	}
}
