package toggles_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles"
)

// source is a provider that does what the test says.
type source struct {
	openfeature.NoopProvider
	events chan openfeature.Event
	init   func() error

	mu      sync.Mutex
	value   any
	fail    *openfeature.ResolutionError
	panics  bool
	asked   []string
	context openfeature.FlattenedContext
}

func newSource(value any) *source { return &source{value: value, events: make(chan openfeature.Event)} }

func (*source) Metadata() openfeature.Metadata { return openfeature.Metadata{Name: "test"} }

func (s *source) Init(openfeature.EvaluationContext) error {
	if s.init == nil {
		return nil
	}
	return s.init()
}

func (*source) Shutdown() {}

func (s *source) EventChannel() <-chan openfeature.Event { return s.events }

func (s *source) set(change func()) {
	s.mu.Lock()
	change()
	s.mu.Unlock()
	s.emit(openfeature.ProviderConfigChange)
}

func (s *source) emit(e openfeature.EventType) {
	s.events <- openfeature.Event{ProviderName: "test", EventType: e}
}

func resolve[T any](s *source, kind string, otherwise T, c openfeature.FlattenedContext) openfeature.GenericResolutionDetail[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.context = append(s.asked, kind), c
	if s.panics {
		panic("broken on purpose")
	}
	d := openfeature.GenericResolutionDetail[T]{Value: otherwise}
	if s.fail != nil {
		d.ResolutionError = *s.fail
		return d
	}
	v, ok := s.value.(T)
	if !ok {
		d.ResolutionError = openfeature.NewTypeMismatchResolutionError("wrong kind")
		return d
	}
	d.Value, d.Reason, d.Variant = v, openfeature.TargetingMatchReason, "ignored"
	return d
}

func (s *source) BooleanEvaluation(_ context.Context, _ string, otherwise bool, c openfeature.FlattenedContext) openfeature.BoolResolutionDetail {
	return resolve(s, "bool", otherwise, c)
}

func (s *source) StringEvaluation(_ context.Context, _, otherwise string, c openfeature.FlattenedContext) openfeature.StringResolutionDetail {
	return resolve(s, "string", otherwise, c)
}

func (s *source) ObjectEvaluation(_ context.Context, _ string, otherwise any, c openfeature.FlattenedContext) openfeature.InterfaceResolutionDetail {
	return resolve(s, "object", otherwise, c)
}

func gateOf(t testing.TB, s *source, o toggles.GateOptions) *toggles.Gate {
	t.Helper()
	g, err := toggles.NewGateWithProvider(o, s)
	if err != nil {
		t.Fatal(err)
	}
	declare(t, g, "x")
	return g
}

// A flag source that is down, not ready, stale or wrong switches nothing: the last good decision holds, with the reason.
func TestLastGoodDecisionHolds(t *testing.T) {
	t.Parallel()
	fails := func(e openfeature.ResolutionError) func(*source) {
		return func(s *source) { s.set(func() { s.fail = &e }) }
	}
	emits := func(e openfeature.EventType) func(*source) { return func(s *source) { s.emit(e) } }
	becomes := func(v any) func(*source) { return func(s *source) { s.set(func() { s.value = v }) } }
	for name, tt := range map[string]struct {
		breaks func(*source)
		code   string
	}{
		"stale":    {emits(openfeature.ProviderStale), "GENERAL"},
		"in error": {emits(openfeature.ProviderError), "GENERAL"},
		"fatal": {func(s *source) {
			s.events <- openfeature.Event{EventType: openfeature.ProviderError, ProviderEventDetails: openfeature.ProviderEventDetails{ErrorCode: openfeature.ProviderFatalCode}}
		}, "PROVIDER_FATAL"},
		"parse error":     {fails(openfeature.NewParseErrorResolutionError("bad rule")), "PARSE_ERROR"},
		"general error":   {fails(openfeature.NewGeneralResolutionError("network")), "GENERAL"},
		"wrong type":      {becomes(7), "TYPE_MISMATCH"},
		"no value":        {becomes(nil), "TYPE_MISMATCH"},
		"wrong structure": {becomes(map[string]any{"a": true}), "TYPE_MISMATCH"},
		"panic":           {func(s *source) { s.set(func() { s.panics = true }) }, "GENERAL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, good := range []any{true, "dryrun"} {
				s := newSource(good)
				g := gateOf(t, s, toggles.GateOptions{})
				start(t, g)
				before := g.Decide("x")
				if !before.Enabled || before.Value != good || before.Reason != "TARGETING_MATCH" || before.ErrorCode != "" || before.Layer != "provider" {
					t.Fatalf("decision %+v, want %v", before, good)
				}
				var told sync.WaitGroup
				told.Add(1)
				cancel := g.Subscribe(sync.OnceFunc(told.Done))
				tt.breaks(s)
				told.Wait() // explanations are up to date, too
				cancel()
				held := g.Decide("x")
				if held.ErrorCode != tt.code || held.Error == "" {
					t.Errorf("error %s %q, want %s", held.ErrorCode, held.Error, tt.code)
				}
				held.ErrorCode, held.Error = "", ""
				if held != before {
					t.Errorf("decision %+v, want the last good one, %+v", held, before)
				}
				s.mu.Lock()
				s.value, s.fail, s.panics = false, nil, false
				s.mu.Unlock()
				s.emit(openfeature.ProviderReady)
				eventually(t, "the provider is believed again", func() bool { d := g.Decide("x"); return !d.Enabled && d.ErrorCode == "" })
				stop(t, g)
			}
		})
	}
}

func TestNoGoodDecisionYet(t *testing.T) {
	t.Parallel()
	s := newSource(true)
	s.fail = new(openfeature.NewGeneralResolutionError("network"))
	var log journal
	g := gateOf(t, s, toggles.GateOptions{Logger: log.logger(), Resync: time.Millisecond})
	want := orchestrator.Decision{Flag: "x", Value: false, Variant: "off", Reason: "ERROR", ErrorCode: "PROVIDER_NOT_READY", Error: "the provider is not ready", Layer: "default", Source: "module default"}
	if d := g.Decide("x"); without(d) != want {
		t.Errorf("before start: %+v, want %+v", d, want)
	}
	start(t, g)
	want.ErrorCode, want.Error = "GENERAL", "network"
	d := g.Decide("x")
	if without(d) != want {
		t.Errorf("decision %+v, want %+v", d, want)
	}
	eventually(t, "resyncs", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.asked) > 10 })
	if again := g.Decide("x"); again != d {
		t.Errorf("decision %+v changed to %+v by a resync", d, again)
	}
	if n := log.count("level=WARN", "network"); n != 1 {
		t.Errorf("the error was logged %d times, want once", n)
	}
}

// A provider that gets ready late delays the boot at most for the deadline, and is heard then.
func TestProviderIsLate(t *testing.T) {
	t.Parallel()
	s, ready := newSource(true), make(chan struct{})
	s.init = func() error { <-ready; return nil }
	g := gateOf(t, s, toggles.GateOptions{BootDeadline: 10 * time.Millisecond})
	start(t, g)
	if d := g.Decide("x"); d.Enabled || d.ErrorCode != "PROVIDER_NOT_READY" {
		t.Errorf("decision %+v, want off, because the provider is not ready", d)
	}
	close(ready)
	eventually(t, "on", func() bool { return g.Decide("x").Enabled })
}

func TestProviderFailsToInitialize(t *testing.T) {
	t.Parallel()
	s := newSource(true)
	s.init = func() error { return errors.New("no route") }
	g := gateOf(t, s, toggles.GateOptions{BootDeadline: time.Minute})
	start(t, g)
	if d := g.Decide("x"); d.Enabled || d.ErrorCode != "GENERAL" {
		t.Errorf("decision %+v, want off with an error", d)
	}
}

// Events may be lost: the periodic evaluation finds what changed.
func TestResync(t *testing.T) {
	t.Parallel()
	s := newSource(false)
	g := gateOf(t, s, toggles.GateOptions{Resync: time.Millisecond})
	start(t, g)
	s.mu.Lock()
	s.value = "dryrun"
	s.mu.Unlock()
	eventually(t, "the variant", func() bool { return g.Decide("x").Variant == "dryrun" })
	s.mu.Lock()
	asked := len(s.asked)
	s.mu.Unlock()
	eventually(t, "more evaluations", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.asked) > asked+10 })
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := s.asked[len(s.asked)-8:]; slices.Contains(last, "bool") {
		t.Errorf("asked for %q: the kind of the last time comes first", last)
	}
}

func TestEvaluationContext(t *testing.T) {
	t.Parallel()
	s := newSource(true)
	g := gateOf(t, s, toggles.GateOptions{})
	g.Apply(toggles.Flags{Context: map[string]any{"environment": "prod", "instance": int64(7), "region": "eu"}})
	start(t, g)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.context["environment"] != "prod" || s.context["region"] != "eu" || s.context[openfeature.TargetingKey] != "7" {
		t.Errorf("context %v, want environment, region and the instance as targeting key", s.context)
	}
}

// Many changes and swaps while handlers run: nothing may deadlock.
func TestEventStorm(t *testing.T) {
	t.Parallel()
	s := newSource(true)
	g := gateOf(t, s, toggles.GateOptions{})
	start(t, g)
	var storm sync.WaitGroup
	storm.Go(func() {
		for i := range 2_000 {
			s.set(func() { s.value = i%2 == 0 })
		}
	})
	storm.Go(func() {
		for range 500 {
			g.Apply(toggles.Flags{Context: map[string]any{"environment": "prod"}})
		}
	})
	storm.Wait()
	s.set(func() { s.value = "last" })
	eventually(t, "the last value", func() bool { return g.Decide("x").Value == "last" })
}
