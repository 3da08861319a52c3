package toggles_test

import (
	"testing"

	"github.com/open-feature/go-sdk/openfeature"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/livegen/example"
	"github.com/detectviz/switchyard/toggles"
)

// counter is a scheduler of which nothing but Count is called.
type counter struct{ example.Scheduler }

func (*counter) Count() int { return 1 }

// BenchmarkGuard compares ways to call what a flag switches, in one run: directly, through the generated proxy, and with an
// OpenFeature evaluation before each call.
func BenchmarkGuard(b *testing.B) {
	gate := newGate(b, toggles.GateOptions{})
	var proxy example.Scheduler
	app := fxtest.New(b, fx.NopLogger, orchestrator.New(), fx.Provide(func() orchestrator.Gate { return gate }), fx.Populate(&proxy),
		orchestrator.Module("scheduler", orchestrator.Flag("scheduler"),
			orchestrator.Export[example.Scheduler](example.NoopScheduler(), example.LiveScheduler),
			orchestrator.Provide(func() example.Scheduler { return &counter{} })))
	gate.Apply(flags(file("scheduler", true)))
	start(b, gate)
	app.RequireStart()
	b.Cleanup(func() { app.RequireStop() })
	client := gate.OpenFeatureClient()
	var direct example.Scheduler = &counter{}
	var alone float64
	for _, bb := range []struct {
		name string
		call func() int
	}{
		{"direct", direct.Count},
		{"proxy", proxy.Count},
		{"OpenFeature", func() int {
			if on, err := client.BooleanValue(b.Context(), "scheduler", false, openfeature.EvaluationContext{}); err != nil || !on {
				return 0
			}
			return direct.Count()
		}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			calls := 0
			for b.Loop() {
				calls += bb.call()
			}
			if calls != b.N {
				b.Fatalf("%d of %d calls were served", calls, b.N)
			}
			took := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			if bb.name == "direct" {
				alone = took
			}
			if alone > 0 {
				b.ReportMetric(took/alone, "x-direct")
			}
		})
	}
}
