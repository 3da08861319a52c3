package example_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/orchestrator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// app is a running app with one module that exports T.
type app[T any] struct {
	orch *orchestrator.Orchestrator
	gate *gate
	// what the app's graph has
	value T
	live  *orchestrator.Live[T]
}

// run starts an app whose module runs, with real as its implementation.
func run[T any](t testing.TB, noop T, proxy func(*orchestrator.Live[T]) T, real T, drain time.Duration) *app[T] {
	t.Helper()
	a := &app[T]{gate: &gate{on: true}}
	fxApp := fxtest.New(t, fx.NopLogger, orchestrator.New(),
		fx.Provide(func() orchestrator.Gate { return a.gate }),
		orchestrator.Module("example",
			orchestrator.Flag("example"),
			orchestrator.Export(noop, proxy),
			orchestrator.Provide(func() T { return real }),
			orchestrator.Timeouts{Drain: drain},
		),
		fx.Populate(&a.orch, &a.value, &a.live),
	)
	fxApp.RequireStart()
	t.Cleanup(func() { fxApp.RequireStop() })
	a.requireState(t, orchestrator.Running)
	return a
}

// toggle switches the module and waits until it is there.
func (a *app[T]) toggle(t testing.TB, on bool) {
	t.Helper()
	a.gate.set(on)
	want := orchestrator.Off
	if on {
		want = orchestrator.Running
	}
	a.requireState(t, want)
}

func (a *app[T]) requireState(t testing.TB, want orchestrator.State) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := a.orch.Settled(ctx); err != nil {
		t.Fatal(err)
	}
	if got := a.status(t); got.State != want {
		t.Fatalf("state %s (%s), want %s", got.State, got.Reason, want)
	}
}

func (a *app[T]) requireLeases(t testing.TB, want int64) {
	t.Helper()
	if got := a.status(t).Leases; got != want {
		t.Errorf("%d leases, want %d", got, want)
	}
}

func (a *app[T]) status(t testing.TB) orchestrator.Explanation {
	t.Helper()
	e, err := a.orch.Explain("example")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// eventually polls until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for tick := time.NewTicker(time.Millisecond); !cond(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not reached: %s", what)
		}
	}
}

// gate has one flag.
type gate struct {
	mu     sync.Mutex
	on     bool
	notify func()
}

func (g *gate) Declare(...orchestrator.FlagDeclaration) error { return nil }

func (g *gate) Subscribe(notify func()) func() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.notify = notify
	return func() {}
}

func (g *gate) Decide(flag string) orchestrator.Decision {
	g.mu.Lock()
	defer g.mu.Unlock()
	return orchestrator.Decision{Flag: flag, Enabled: g.on, Source: "test"}
}

func (g *gate) set(on bool) {
	g.mu.Lock()
	g.on = on
	notify := g.notify
	g.mu.Unlock()
	notify()
}
