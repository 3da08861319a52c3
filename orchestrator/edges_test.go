package orchestrator_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/detectviz/switchyard/orchestrator"
)

// pinger is the contract of the modules a, b, c ... of a fleet; each has a type of its own, so that one app can hold them all.
type pinger[N any] interface{ Ping(N) error }

type noPing[N any] struct{ orchestrator.Noop }

func (n *noPing[N]) Ping(N) error { return n.Called() }

type realPing[N any] struct{}

func (realPing[N]) Ping(N) error { return nil }

type (
	nameA struct{}
	nameB struct{}
	nameC struct{}
)

// journal is what happened, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := j.lines
	j.lines = nil
	return strings.Join(lines, ", ")
}

// member is a module of the fleet that writes its starts and stops into the journal.
func member[N any](name string, j *journal, opts ...orchestrator.ModuleOption) fx.Option {
	return orchestrator.Module(name, append([]orchestrator.ModuleOption{
		orchestrator.Flag("flag-" + name),
		orchestrator.Export[pinger[N]](&noPing[N]{}, func(l *orchestrator.Live[pinger[N]]) pinger[N] { return livePing[N]{l} }),
		orchestrator.Provide(func(lc fx.Lifecycle) pinger[N] {
			lc.Append(fx.Hook{
				OnStart: func(context.Context) error { j.add("start " + name); return nil },
				OnStop:  func(context.Context) error { j.add("stop " + name); return nil },
			})
			return realPing[N]{}
		}),
	}, opts...)...)
}

type livePing[N any] struct{ live *orchestrator.Live[pinger[N]] }

func (p livePing[N]) Ping(n N) error {
	lease := p.live.Acquire()
	defer lease.Release()
	return lease.Value.Ping(n)
}

func startFleet(t *testing.T, g *gate, modules ...fx.Option) (*orchestrator.Orchestrator, func() string) {
	t.Helper()
	var orch *orchestrator.Orchestrator
	app := fxtest.New(t, append(modules, fx.NopLogger, orchestrator.New(), fx.Populate(&orch),
		fx.Provide(func() orchestrator.Gate { return g }))...)
	app.RequireStart()
	t.Cleanup(func() { app.RequireStop() })
	return orch, func() string {
		t.Helper()
		if err := orch.Settled(t.Context()); err != nil {
			t.Fatal(err)
		}
		var states []string
		for _, s := range orch.Status() {
			states = append(states, fmt.Sprintf("%s %s", s.Name, s.State))
		}
		return strings.Join(states, ", ")
	}
}

func TestRequirements(t *testing.T) {
	t.Parallel()
	g := newGate("flag-a", "flag-b", "flag-c")
	j := &journal{}
	// a requires b, b requires c: the order of names is the wrong one on purpose.
	orch, states := startFleet(t, g,
		member[nameA]("a", j, orchestrator.Requires("b")),
		member[nameB]("b", j, orchestrator.Requires("c")),
		member[nameC]("c", j))
	check := func(what, wantStates, wantJournal string) {
		t.Helper()
		if got := states(); got != wantStates {
			t.Errorf("%s: states %q, want %q", what, got, wantStates)
		}
		if got := j.take(); got != wantJournal {
			t.Errorf("%s: journal %q, want %q", what, got, wantJournal)
		}
	}
	check("boot", "a Running, b Running, c Running", "start c, start b, start a")
	g.set("flag-c", false)
	check("requirement of all off", "a Waiting, b Waiting, c Off", "stop a, stop b, stop c")
	if s := orch.Status()[0]; !strings.Contains(s.Reason, `requires "b"`) || !strings.Contains(s.Reason, `flag "flag-c" is off`) || s.Desired != "on" {
		t.Errorf("a is waiting for the reason %q, want the requirement and its reason", s.Reason)
	}
	g.set("flag-c", true)
	check("requirement on again", "a Running, b Running, c Running", "start c, start b, start a")
	g.set("flag-b", false)
	check("the middle off", "a Waiting, b Off, c Running", "stop a, stop b")
	g.set("flag-a", false)
	check("off while waiting", "a Off, b Off, c Running", "")
	if s := orch.Status()[0]; !slices.Equal(s.Requires, []string{"b"}) {
		t.Errorf("requires %q, want [b]", s.Requires)
	}
}

func TestFailedRequirementTakesDependantsDown(t *testing.T) {
	t.Parallel()
	g := newGate("flag-a", "flag-b")
	j := &journal{}
	var die atomic.Pointer[orchestrator.Owner]
	var broken atomic.Bool
	_, states := startFleet(t, g,
		member[nameA]("a", j, orchestrator.Requires("b")),
		orchestrator.Module("b", orchestrator.Flag("flag-b"),
			orchestrator.Export[pinger[nameB]](&noPing[nameB]{}, func(l *orchestrator.Live[pinger[nameB]]) pinger[nameB] { return livePing[nameB]{l} }),
			orchestrator.Provide(func(lc fx.Lifecycle, owner *orchestrator.Owner) (pinger[nameB], error) {
				if broken.Load() {
					return nil, errBroken
				}
				die.Store(owner)
				lc.Append(fx.StopHook(func() { j.add("stop b") }))
				return realPing[nameB]{}, nil
			})))
	if got := states(); got != "a Running, b Running" {
		t.Fatalf("states %q", got)
	}
	j.take()
	broken.Store(true)
	die.Load().Fail(errBroken)
	eventually(t, "a waits for b, which failed", func() bool { return states() == "a Waiting, b Failed" })
	if got := j.take(); got != "stop a, stop b" {
		t.Errorf("journal %q, want the dependant stopped first", got)
	}
	broken.Store(false)
	eventually(t, "both run again", func() bool { return states() == "a Running, b Running" })
}

func TestSoftEdgesOrderBootAndStop(t *testing.T) {
	t.Parallel()
	g := newGate("flag-a", "flag-b")
	j := &journal{}
	t.Cleanup(func() { // runs after the app has stopped
		if got := j.take(); got != "stop a, stop b" {
			t.Errorf("the app stopped in the order %q, want users first", got)
		}
	})
	_, states := startFleet(t, g, member[nameA]("a", j, orchestrator.Uses("b")), member[nameB]("b", j))
	if got := states() + "; " + j.take(); got != "a Running, b Running; start b, start a" {
		t.Errorf("boot: %q", got)
	}
	g.set("flag-b", false)
	if got := states() + "; " + j.take(); got != "a Running, b Off; stop b" {
		t.Errorf("what is used goes off: %q, want its user to stay", got)
	}
	g.set("flag-b", true)
	states()
	j.take()
}

func TestEdgesAreValidated(t *testing.T) {
	t.Parallel()
	j := &journal{}
	for name, tt := range map[string]struct {
		modules []fx.Option
		want    string
	}{
		"unknown": {[]fx.Option{member[nameA]("a", j, orchestrator.Requires("x"))}, `module "a": Requires("x"): there is no such module (the app has ["a"])`},
		"self":    {[]fx.Option{member[nameA]("a", j, orchestrator.Uses("a"))}, `module "a": Uses("a"): a module can't depend on itself`},
		"cycle": {[]fx.Option{
			member[nameA]("a", j, orchestrator.Requires("b")),
			member[nameB]("b", j, orchestrator.Uses("c")),
			member[nameC]("c", j, orchestrator.Requires("a")),
		}, "in a circle: a -> b -> c -> a"},
		"cycle by imports": {[]fx.Option{
			member[nameA]("a", j, orchestrator.Requires("b")),
			orchestrator.Module("b", orchestrator.Flag("flag-b"),
				orchestrator.Export[pinger[nameB]](&noPing[nameB]{}, func(l *orchestrator.Live[pinger[nameB]]) pinger[nameB] { return livePing[nameB]{l} }),
				orchestrator.Provide(func(pinger[nameA]) pinger[nameB] { return realPing[nameB]{} })),
		}, "in a circle: a -> b -> a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := fx.New(append(tt.modules, fx.NopLogger, orchestrator.New(), fx.Provide(func() orchestrator.Gate { return newGate() }))...).Err()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}
