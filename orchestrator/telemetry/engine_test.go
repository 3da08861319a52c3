package telemetry_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/telemetry"
)

// gate is a Gate with one flag.
type gate struct {
	mu      sync.Mutex
	variant string // "": off
	notify  func()
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
	d := orchestrator.Decision{Flag: flag, Variant: "off", Layer: "file", Source: "test"}
	if g.variant != "" {
		d.Enabled, d.Variant = true, g.variant
	}
	return d
}

func (g *gate) set(variant string) {
	g.mu.Lock()
	g.variant = variant
	notify := g.notify
	g.mu.Unlock()
	notify()
}

// mailer is the contract of the module under test.
type mailer interface{ Send() error }

type noMail struct{ orchestrator.Noop }

func (n *noMail) Send() error { return n.Called() }

type mail struct{}

func (mail) Send() error { return nil }

type liveMailer struct{ live *orchestrator.Live[mailer] }

func (p liveMailer) Send() error {
	lease := p.live.Acquire()
	defer lease.Release()
	return lease.Value.Send()
}

// run starts an app with the engine, its telemetry, and a module behind a flag.
func run(t *testing.T, g *gate, registry prometheus.Registerer, provider oteltrace.TracerProvider, implementation ...orchestrator.ModuleOption) (*fxtest.App, *orchestrator.Orchestrator, mailer) {
	t.Helper()
	var engine *orchestrator.Orchestrator
	var m mailer
	app := fxtest.New(t, fx.NopLogger, fx.Provide(func() orchestrator.Gate { return g }),
		fx.Provide(func() (prometheus.Registerer, oteltrace.TracerProvider) { return registry, provider }),
		telemetry.Options(),
		orchestrator.New(orchestrator.Retry(time.Minute, time.Minute)),
		orchestrator.Module("mailer", append(implementation, orchestrator.Flag("mail"),
			orchestrator.Export[mailer](&noMail{}, func(l *orchestrator.Live[mailer]) mailer { return liveMailer{l} }))...),
		fx.Populate(&engine, &m),
	)
	app.RequireStart()
	return app, engine, m
}

func works() orchestrator.ModuleOption {
	return orchestrator.Provide(func() mailer { return mail{} })
}

func fails() orchestrator.ModuleOption {
	return orchestrator.Provide(func() (mailer, error) { return nil, errors.New("port in use") })
}

func settle(t *testing.T, engine *orchestrator.Orchestrator) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := engine.Settled(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestTheEngine(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	recorder := tracetest.NewSpanRecorder()
	g := &gate{}
	app, engine, m := run(t, g, registry, trace.NewTracerProvider(trace.WithSpanProcessor(recorder)), works())
	if err := m.Send(); !errors.Is(err, orchestrator.ErrDisabled) {
		t.Errorf("a call while it is off: %v", err)
	}
	g.set("on")
	settle(t, engine)
	compare(t, registry, `
# HELP switchyard_flag_enabled Whether the flag is on, by the decision in force.
# TYPE switchyard_flag_enabled gauge
switchyard_flag_enabled{flag="mail",layer="file",variant="on"} 1
# HELP switchyard_module_generation How often an implementation of the module was published.
# TYPE switchyard_module_generation gauge
switchyard_module_generation{module="mailer"} 1
# HELP switchyard_noop_calls_total Calls that the noop of the module has answered.
# TYPE switchyard_noop_calls_total counter
switchyard_noop_calls_total{module="mailer"} 1
`, "switchyard_flag_enabled", "switchyard_module_generation", "switchyard_noop_calls_total")
	app.RequireStop() // stops the module, and telemetry last
	compare(t, registry, `
# HELP switchyard_module_transitions_total Transitions of the module from one state to another.
# TYPE switchyard_module_transitions_total counter
switchyard_module_transitions_total{from="Draining",module="mailer",to="Stopping"} 1
switchyard_module_transitions_total{from="Off",module="mailer",to="Starting"} 1
switchyard_module_transitions_total{from="Running",module="mailer",to="Draining"} 1
switchyard_module_transitions_total{from="Starting",module="mailer",to="Running"} 1
switchyard_module_transitions_total{from="Stopping",module="mailer",to="Off"} 1
`, "switchyard_module_transitions_total")
	var names []string
	for _, s := range recorder.Ended() {
		names = append(names, s.Name())
		if s.EndTime().Before(s.StartTime()) || time.Since(s.StartTime()) > time.Minute {
			t.Errorf("%s lasted from %v to %v", s.Name(), s.StartTime(), s.EndTime())
		}
	}
	if want := []string{"module start", "module drain", "module stop"}; !slices.Equal(names, want) {
		t.Errorf("spans %q, want %q", names, want)
	}
}

func TestTheEngineFails(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	app, _, _ := run(t, &gate{variant: "on"}, prometheus.NewPedanticRegistry(), trace.NewTracerProvider(trace.WithSpanProcessor(recorder)), orchestrator.Variant("on", fails()))
	app.RequireStop()
	spans := read(recorder)
	if len(spans) == 0 || spans[0].Name != "module start" || spans[0].Variant != "on" || spans[0].Status != codes.Error || spans[0].Error == "" {
		t.Errorf("spans %+v, want a start with its error", spans)
	}
}

func TestTheEngineReplaces(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	recorder := tracetest.NewSpanRecorder()
	g := &gate{variant: "one"}
	app, engine, _ := run(t, g, registry, trace.NewTracerProvider(trace.WithSpanProcessor(recorder)),
		orchestrator.Variant("one", works()), orchestrator.Variant("two", works()), orchestrator.Variant("bad", fails()))
	for _, variant := range []string{"two", "bad"} {
		g.set(variant)
		settle(t, engine)
	}
	compare(t, registry, `
# HELP switchyard_module_info What a call to the module reaches; always 1.
# TYPE switchyard_module_info gauge
switchyard_module_info{flag="mail",implementation="two",module="mailer",variant="bad"} 1
`, "switchyard_module_info")
	app.RequireStop()
	compare(t, registry, `
# HELP switchyard_module_replacements_total Replacements of a running copy of the module by another, by their result: replaced, failed or given up.
# TYPE switchyard_module_replacements_total counter
switchyard_module_replacements_total{module="mailer",result="failed"} 1
switchyard_module_replacements_total{module="mailer",result="replaced"} 1
`, "switchyard_module_replacements_total")
	var replaced []recorded
	for _, s := range read(recorder) {
		if want := "two"; (s.Name == "module drain" || s.Name == "module stop") && s.Variant != want {
			t.Errorf("%s of %q, want %q", s.Name, s.Variant, want)
		}
		if s.Name == "module replace" {
			if s.Reason == "" || s.Took <= 0 || s.Took > time.Minute {
				t.Errorf("a replacement took %v because of %q", s.Took, s.Reason)
			}
			replaced = append(replaced, recorded{Variant: s.Variant, Generation: s.Generation, Status: s.Status})
		}
	}
	if want := []recorded{{Variant: "two", Generation: 2}, {Variant: "bad", Generation: 2, Status: codes.Error}}; !slices.Equal(replaced, want) {
		t.Errorf("replacements %+v, want %+v", replaced, want)
	}
}
