package toggles_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles"
)

func newGate(t testing.TB, o toggles.GateOptions) *toggles.Gate {
	t.Helper()
	g, err := toggles.NewGate(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func start(t testing.TB, g *toggles.Gate) {
	t.Helper()
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, g) })
}

func stop(t testing.TB, g *toggles.Gate) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := g.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func declare(t testing.TB, g *toggles.Gate, flags ...string) {
	t.Helper()
	for _, f := range flags {
		if err := g.Declare(orchestrator.FlagDeclaration{Name: f, Module: "module-of-" + f}); err != nil {
			t.Fatal(err)
		}
	}
}

func file(name string, value any) toggles.Toggle {
	return toggles.Toggle{Name: name, Value: value, Layer: toggles.LayerFile, Source: "file my.yaml:1"}
}

func flags(t ...toggles.Toggle) toggles.Flags { return toggles.Flags{Toggles: t} }

// without returns a decision without its time.
func without(d orchestrator.Decision) orchestrator.Decision {
	d.At = time.Time{}
	return d
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	variable := toggles.Toggle{Name: "X", Value: true, Layer: toggles.LayerEnvironment, Source: "environment APP_TOGGLES__X"}
	kill := func(name string) []toggles.Kill {
		return []toggles.Kill{{Name: name, Source: "environment SWITCHYARD_DISABLE"}}
	}
	off := orchestrator.Decision{Flag: "x", Value: false, Variant: "off", Reason: "STATIC", Layer: "file", Source: "file my.yaml:1"}
	on := off
	on.Enabled, on.Value, on.Variant = true, true, "on"
	byVariable := on
	byVariable.Layer, byVariable.Source = "environment", "environment APP_TOGGLES__X"
	variant := on
	variant.Value, variant.Variant = "dryrun", "dryrun"
	stringOff := off
	stringOff.Value = "OFF"
	byDefault := off
	byDefault.Reason, byDefault.Layer, byDefault.Source = "DEFAULT", "default", "module default"
	killed := off
	killed.Layer, killed.Source = "kill-list", "environment SWITCHYARD_DISABLE"
	for name, tt := range map[string]struct {
		flags toggles.Flags
		want  orchestrator.Decision
	}{
		"on":                                 {flags(file("x", true)), on},
		"off":                                {flags(file("x", false)), off},
		"variant":                            {flags(file("x", "dryrun")), variant},
		"off as a string":                    {flags(file("x", "OFF")), stringOff},
		"nothing said":                       {flags(file("y", true)), byDefault},
		"the case of files counts":           {flags(file("X", true)), byDefault},
		"the last statement counts":          {flags(file("x", "dryrun"), file("x", true)), on},
		"the case of variables doesn't":      {flags(file("x", false), variable), byVariable},
		"a command line is above a variable": {flags(variable, file("x", false)), off},
		"killed by flag":                     {toggles.Flags{Toggles: []toggles.Toggle{variable}, Disabled: kill("X")}, killed},
		"killed by module":                   {toggles.Flags{Toggles: []toggles.Toggle{variable}, Disabled: kill("MODULE-of-x")}, killed},
		"killed, but nobody was on":          {toggles.Flags{Disabled: kill("x")}, killed},
		"others killed":                      {toggles.Flags{Toggles: []toggles.Toggle{file("x", true)}, Disabled: kill("y")}, on},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, order := range []string{"apply, declare, start", "declare, apply, start", "declare, start, apply"} {
				g := newGate(t, toggles.GateOptions{})
				for step := range strings.SplitSeq(order, ", ") {
					switch step {
					case "apply":
						g.Apply(tt.flags)
					case "declare":
						declare(t, g, "x")
					case "start":
						if strings.HasPrefix(order, "apply") && without(g.Decide("x")) != tt.want {
							t.Errorf("before start: %+v, want %+v", g.Decide("x"), tt.want)
						}
						start(t, g)
					}
				}
				d := g.Decide("x")
				if without(d) != tt.want || d.At.IsZero() {
					t.Errorf("%s: decision\n got %+v\nwant %+v", order, d, tt.want)
				}
				stop(t, g)
				if got := g.Decide("x"); got != d {
					t.Errorf("after stop: %+v, want %+v", got, d)
				}
			}
		})
	}
}

func TestUndeclaredFlag(t *testing.T) {
	t.Parallel()
	g := newGate(t, toggles.GateOptions{})
	g.Apply(flags(file("x", true)))
	if d := g.Decide("x"); d.Enabled || d.Variant != "off" || d.ErrorCode != "FLAG_NOT_FOUND" || d.Error == "" {
		t.Errorf("decision %+v, want off with FLAG_NOT_FOUND", d)
	}
}

func TestDenyList(t *testing.T) {
	t.Parallel()
	g := newGate(t, toggles.GateOptions{})
	for _, bad := range []orchestrator.FlagDeclaration{
		{Name: "authentication", Module: "x"}, {Name: "x", Module: "Authorization"}, {Name: "AUDIT"}, {Module: "x"},
	} {
		if err := g.Declare(orchestrator.FlagDeclaration{Name: "fine", Module: "fine"}, bad); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
	if d := g.Decide("fine"); d.ErrorCode != "FLAG_NOT_FOUND" {
		t.Errorf("a refused declaration left something behind: %+v", d)
	}
	if err := newGate(t, toggles.GateOptions{Deny: []string{}}).Declare(orchestrator.FlagDeclaration{Name: "audit", Module: "audit"}); err != nil {
		t.Error(err)
	}
}

func TestAtIsWhenTheDecisionChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, toggles.GateOptions{})
		declare(t, g, "x", "y")
		start(t, g)
		at := g.Decide("x").At
		step := func(f toggles.Flags) bool {
			time.Sleep(time.Minute) // also passes resyncs
			g.Apply(f)
			now := g.Decide("x").At
			changed := !now.Equal(at)
			at = now
			if changed && !now.Equal(time.Now()) {
				t.Errorf("at %v, want now, %v", now, time.Now())
			}
			return changed
		}
		moved := file("x", true)
		moved.Source = "file my.yaml:2"
		for i, tt := range []struct {
			flags toggles.Flags
			want  bool
		}{
			{flags(), false}, {flags(file("x", true)), true}, {flags(file("x", true), file("y", true)), false}, {flags(moved), true}, {flags(moved), false},
			{flags(file("x", "dryrun")), true}, {flags(), true},
		} {
			if got := step(tt.flags); got != tt.want {
				t.Errorf("step %d: at changed: %t, want %t", i, got, tt.want)
			}
		}
	})
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	g := newGate(t, toggles.GateOptions{})
	declare(t, g, "x", "y")
	var told, other atomic.Int64
	cancel := g.Subscribe(func() {
		told.Add(1)
		g.Decide("x") // may ask
	})
	defer g.Subscribe(func() { other.Add(1) })()
	g.Apply(flags(file("x", true), file("y", true)))
	if told.Load() != 1 || other.Load() != 1 {
		t.Errorf("told %d and %d times, want once for all flags of a load", told.Load(), other.Load())
	}
	g.Apply(flags(file("x", true), file("y", true)))
	if told.Load() != 1 {
		t.Errorf("told %d times, want nothing when nothing changed", told.Load())
	}
	cancel()
	cancel()
	g.Apply(flags())
	if told.Load() != 1 || other.Load() != 2 {
		t.Errorf("told %d and %d times after one cancelled, want 1 and 2", told.Load(), other.Load())
	}
}

// All flags of a load change together: nobody sees one without the other.
func TestFlagsOfALoadChangeTogether(t *testing.T) {
	t.Parallel()
	g := newGate(t, toggles.GateOptions{})
	declare(t, g, "x", "y")
	start(t, g)
	var told sync.WaitGroup
	told.Add(1)
	defer told.Wait()
	defer g.Subscribe(sync.OnceFunc(func() {
		defer told.Done()
		if x, y := g.Decide("x"), g.Decide("y"); !x.Enabled || !y.Enabled {
			t.Errorf("x %t and y %t when told, want both on", x.Enabled, y.Enabled)
		}
	}))()
	g.Apply(flags(file("x", true), file("y", true)))
}

func TestFlipsSettleToTheLastValue(t *testing.T) {
	t.Parallel()
	g := newGate(t, toggles.GateOptions{})
	declare(t, g, "x")
	start(t, g)
	var notified atomic.Int64
	defer g.Subscribe(func() { notified.Add(1) })()
	values := []any{true, "dryrun", false}
	for i := range 10_000 {
		g.Apply(flags(file("x", values[i%len(values)])))
	}
	if d := g.Decide("x"); d.Value != values[9_999%len(values)] {
		t.Errorf("decision %+v, want %v", d, values[9_999%len(values)])
	}
	if notified.Load() < 9_999 {
		t.Errorf("notified %d times", notified.Load())
	}
	var flippers sync.WaitGroup
	for range 4 {
		flippers.Go(func() {
			for i := range 1_000 {
				g.Apply(flags(file("x", i%2 == 0)))
				g.Decide("x")
			}
		})
	}
	flippers.Wait()
	g.Apply(flags(file("x", "last")))
	if d := g.Decide("x"); d.Value != "last" {
		t.Errorf("decision %+v, want the last value", d)
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	var log journal
	g := newGate(t, toggles.GateOptions{Logger: log.logger()})
	bad := toggles.Flags{
		Toggles: []toggles.Toggle{
			file("kubernetesAgregator", true), file("zzz", false), file("mail", true),
			{Name: "MAIL", Value: true, Layer: toggles.LayerEnvironment, Source: "environment APP_TOGGLES__MAIL"},
			{Name: "MIAL", Value: true, Layer: toggles.LayerEnvironment, Source: "environment APP_TOGGLES__MIAL"},
		},
		Disabled: []toggles.Kill{{"module-of-MAIL", "k"}, {"module-of-mial", "k"}},
	}
	g.Apply(bad)
	declare(t, g, "mail", "kubernetesAggregator")
	want := []toggles.UnknownToggle{
		{"MIAL", "environment APP_TOGGLES__MIAL", "mail"},
		{"kubernetesAgregator", "file my.yaml:1", "kubernetesAggregator"},
		{"module-of-mial", "k", "module-of-mail"},
		{"zzz", "file my.yaml:1", ""},
	}
	if got := g.Unknown(); !slices.Equal(got, want) {
		t.Errorf("unknown\n got %+v\nwant %+v", got, want)
	}
	logged := func() int { return log.count("level=WARN", "names no flag") }
	if logged() != 0 {
		t.Error("reported before all modules could declare their flags")
	}
	start(t, g)
	if logged() != 4 || log.count("kubernetesAgregator", "nearest=kubernetesAggregator") != 1 {
		t.Errorf("reported %d unknown toggles, want each once", logged())
	}
	g.Apply(bad)
	if logged() != 4 {
		t.Error("reported again although nothing changed")
	}
	g.Apply(flags(file("mail", false)))
	g.Apply(flags(file("zzz", true)))
	if logged() != 5 {
		t.Errorf("reported %d unknown toggles, want a new one after a change", logged())
	}
}

func TestGateStartsOnce(t *testing.T) {
	t.Parallel()
	g := newGate(t, toggles.GateOptions{})
	start(t, g)
	if g.Start(t.Context()) == nil {
		t.Error("started twice")
	}
	stop(t, g)
	stop(t, g)
	if g.Start(t.Context()) == nil {
		t.Error("started after stop")
	}
	stop(t, newGate(t, toggles.GateOptions{})) // never started
}
