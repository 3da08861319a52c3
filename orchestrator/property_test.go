package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/fx"
	"pgregory.net/rapid"

	"github.com/detectviz/switchyard/orchestrator"
)

type (
	nameD struct{}
	nameE struct{}
	nameF struct{}
)

// yard is a fleet of modules that require each other, and what must hold at every moment of its life.
type yard struct {
	requires map[string][]string
	broken   map[string]bool

	mu       sync.Mutex
	running  map[string]bool
	breaches []string
}

func (y *yard) enter(name string) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.broken[name] {
		return errors.New("broken")
	}
	if y.running[name] {
		y.breaches = append(y.breaches, name+" was started twice")
	}
	for _, r := range y.requires[name] {
		if !y.running[r] {
			y.breaches = append(y.breaches, fmt.Sprintf("%s was started without %s", name, r))
		}
	}
	y.running[name] = true
	return nil
}

func (y *yard) leave(name string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if !y.running[name] {
		y.breaches = append(y.breaches, name+" was stopped but did not run")
	}
	for other, requires := range y.requires {
		for _, r := range requires {
			if r == name && y.running[other] {
				y.breaches = append(y.breaches, fmt.Sprintf("%s was stopped before %s", name, other))
			}
		}
	}
	delete(y.running, name)
}

func (y *yard) setBroken(name string, broken bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.broken[name] = broken
}

func inYard[N any](y *yard, name string) fx.Option {
	return orchestrator.Module(name, orchestrator.Flag(name), orchestrator.Requires(y.requires[name]...),
		orchestrator.Export[pinger[N]](&noPing[N]{}, func(l *orchestrator.Live[pinger[N]]) pinger[N] { return livePing[N]{l} }),
		orchestrator.Provide(func(lc fx.Lifecycle) pinger[N] {
			lc.Append(fx.Hook{
				OnStart: func(context.Context) error { return y.enter(name) },
				OnStop:  func(context.Context) error { y.leave(name); return nil },
			})
			return realPing[N]{}
		}))
}

// Whatever flags flip and modules break, in whatever order: no module runs without what it requires, order is kept, and in
// the end the states are those that a pure function of flags and faults gives.
func TestReconcilerAgainstModel(t *testing.T) {
	t.Parallel()
	all := []string{"a", "b", "c", "d", "e", "f"}
	rapid.Check(t, func(t *rapid.T) {
		y := &yard{requires: map[string][]string{}, broken: map[string]bool{}, running: map[string]bool{}}
		for i, name := range all {
			for _, other := range all[i+1:] { // towards the end of the alphabet, so that there is no cycle
				if rapid.IntRange(0, 3).Draw(t, name+" requires "+other) == 0 {
					y.requires[name] = append(y.requires[name], other)
				}
			}
		}
		g := newGate()
		var orch *orchestrator.Orchestrator
		app := fx.New(fx.NopLogger, orchestrator.New(orchestrator.Retry(2*time.Millisecond, 2*time.Millisecond)), fx.Populate(&orch), fx.Provide(func() orchestrator.Gate { return g }),
			inYard[nameA](y, "a"), inYard[nameB](y, "b"), inYard[nameC](y, "c"), inYard[nameD](y, "d"), inYard[nameE](y, "e"), inYard[nameF](y, "f"))
		if err := app.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		on := map[string]bool{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			name := rapid.SampledFrom(all).Draw(t, "module")
			switch rapid.SampledFrom([]string{"flip", "flip", "flip", "break", "mend", "settle"}).Draw(t, "step") {
			case "flip":
				on[name] = !on[name]
				g.set(name, on[name])
			case "break":
				y.setBroken(name, true)
			case "mend":
				y.setBroken(name, false)
			case "settle":
				settleBriefly(orch)
			}
		}
		// A module that started before it broke goes on; so mend everything, and let the states come to rest.
		for _, name := range all {
			y.setBroken(name, false)
		}
		var model func(name string) bool
		model = func(name string) bool {
			for _, r := range y.requires[name] {
				if !model(r) {
					return false
				}
			}
			return on[name]
		}
		atRest := func() bool {
			settleBriefly(orch)
			for _, s := range orch.Status() {
				want := orchestrator.Off
				if model(s.Name) {
					want = orchestrator.Running
				} else if on[s.Name] {
					want = orchestrator.Waiting
				}
				if s.State != want {
					return false
				}
			}
			return true
		}
		eventuallyRapid(t, orch, atRest)
		if err := app.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		if len(y.breaches) > 0 || len(y.running) > 0 {
			t.Fatalf("breaches %q, still running %v", y.breaches, y.running)
		}
	})
}

// settleBriefly waits for transitions. While a module is broken, its retries may keep the engine busy.
func settleBriefly(orch *orchestrator.Orchestrator) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_ = orch.Settled(ctx)
}

func eventuallyRapid(t *rapid.T, orch *orchestrator.Orchestrator, cond func() bool) {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if cond() {
			return
		}
	}
	t.Fatalf("the states do not come to rest as the model says: %+v", orch.Status())
}
