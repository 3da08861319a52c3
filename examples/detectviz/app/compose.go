package app

import (
	"log/slog"
	"net/http"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"github.com/detectviz/switchyard/modules/aggregator"
	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/console"
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
		fx.Provide(newMux),
		fx.Invoke(func(*http.ServeMux) {}),
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

// routes mounts the console, and the aggregator under the paths that API clients ask for.
func routes(mux *http.ServeMux, engine *orchestrator.Orchestrator, gate *toggles.Gate, api aggregator.Aggregator, s Settings, log *slog.Logger) {
	console.Register(mux, engine, console.Degradation{Name: "configuration", Check: gate.LastError})
	if token, err := consoleToken(s.DataDir); err != nil {
		log.Error("modules can't be overridden: there is no token for the console", "error", err)
	} else {
		console.RegisterOverrides(mux, engine, token, s.HTTP.Listen)
	}
	for _, path := range []string{"/apis", "/apis/", "/openapi", "/openapi/", "/version"} {
		mux.Handle(path, api)
	}
}
