package app

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"github.com/detectviz/switchyard/modules/aggregator"
	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/console"
	"github.com/detectviz/switchyard/orchestrator/telemetry"
	"github.com/detectviz/switchyard/toggles"
)

// running is what serve reports on once the app has started.
type running struct {
	fx.In

	Orchestrator *orchestrator.Orchestrator
	Address      *address
	Settings     Settings
}

// compose is the whole app: configuration and flags, the engine, the modules, and the routes of the HTTP server.
func compose(flags *toggles.Source[Settings], log *slog.Logger, modules []fx.Option, populate ...any) *fx.App {
	return fx.New(
		fx.WithLogger(func() fxevent.Logger { return fxevent.NopLogger }),
		fx.StartTimeout(startTimeout),
		fx.StopTimeout(stopTimeout),
		fx.RecoverFromPanics(),
		fx.Supply(log),
		toggles.Provide(flags),
		fx.Provide(newMux, newMetrics),
		fx.Invoke(func(*http.ServeMux) {}),
		telemetry.Options(),
		orchestrator.New(orchestrator.DataDir(flags.Loaded.Settings.DataDir)),
		fx.Options(modules...),
		fx.Invoke(routes),
		fx.Populate(populate...),
	)
}

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 45 * time.Second
)

// newMetrics makes the registry that everything in this app reports to.
func newMetrics() (*prometheus.Registry, prometheus.Registerer) {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r, r
}

type routesParams struct {
	fx.In

	Mux        *http.ServeMux
	Serving    serving
	Engine     *orchestrator.Orchestrator
	Gate       *toggles.Gate
	Aggregator aggregator.Aggregator
	Settings   Settings
	Metrics    *prometheus.Registry
	Log        *slog.Logger
}

// routes mounts the console, and the aggregator under the paths that API clients ask for.
func routes(p routesParams) error {
	token, err := consoleToken(p.Settings.DataDir)
	if err != nil {
		p.Log.Error("modules can't be overridden: there is no token for the console", "error", err)
	}
	err = console.Register(p.Mux, p.Engine, console.Settings{
		Listen:       p.Settings.HTTP.Listen,
		Hosts:        p.Settings.HTTP.Hosts,
		Token:        token,
		RequireToken: p.Settings.HTTP.RequireToken,
		Degradations: []console.Degradation{{Name: "configuration", Check: p.Gate.LastError}},
		Metrics:      promhttp.HandlerFor(p.Metrics, promhttp.HandlerOpts{Registry: p.Metrics}),
		Events:       p.Engine.Events(),
		Audit:        p.Log.With("audit", "console"),
		Serving:      p.Serving,
	})
	for _, path := range []string{"/apis", "/apis/", "/openapi", "/openapi/", "/version"} {
		p.Mux.Handle(path, p.Aggregator)
	}
	return err
}
