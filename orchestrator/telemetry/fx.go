package telemetry

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

// Options adds telemetry of the engine to the app's graph, which must provide a prometheus.Registerer, and may provide a
// trace.TracerProvider. It starts before the engine and stops after it, so that it sees all that happens: list it before
// anything that needs the engine, orchestrator.New included.
func Options() fx.Option {
	return fx.Options(fx.Provide(newHook, fx.Private), fx.Invoke(observe))
}

// hook runs telemetry at its place among the hooks of the app, which is taken before the engine exists.
type hook struct{ telemetry *Telemetry }

func newHook(lc fx.Lifecycle) *hook {
	h := &hook{}
	lc.Append(fx.Hook{
		OnStart: func(ctx context.Context) error { return h.telemetry.Start(ctx) },
		OnStop:  func(ctx context.Context) error { return h.telemetry.Stop(ctx) },
	})
	return h
}

type observed struct {
	fx.In

	Hook       *hook // first: its constructor runs before the engine's
	Engine     *orchestrator.Orchestrator
	Registerer prometheus.Registerer
	Tracing    trace.TracerProvider `optional:"true"`
}

func observe(o observed) (err error) {
	o.Hook.telemetry, err = New(o.Engine, o.Engine.Events(), o.Registerer, o.Tracing)
	return err
}
