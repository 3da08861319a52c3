// Package app is a small app with the modules of the how-to pages: configuration, engine, console and telemetry.
package app

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/detectviz/switchyard/docs/example/alert"
	"github.com/detectviz/switchyard/docs/example/digest"
	"github.com/detectviz/switchyard/docs/example/mailer"
	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/telemetry"
	"github.com/detectviz/switchyard/toggles"
)

// Run serves until ctx ends.
func Run(ctx context.Context, o Options) error {
	source, err := toggles.Open(toggles.Options[Settings]{
		BuiltIn:   toggles.Document{Name: "demo.yaml", Data: builtIn},
		Files:     o.Files,
		Sets:      o.Sets,
		EnvPrefix: "DEMO_",
		Environ:   o.Environ,
	})
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(cmp.Or[io.Writer](o.Log, io.Discard), nil))
	app := fx.New(fx.NopLogger, fx.Supply(log, o), compose(source)) //nolint:contextcheck // starts of modules outlive the call
	if err := app.Start(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return app.Stop(stopping)
}

// compose is the app's graph. What is listed first starts first and stops last.
func compose(source *toggles.Source[Settings]) fx.Option {
	registry := prometheus.NewRegistry()
	return fx.Options(
		fx.Supply(registry, fx.Annotate(registry, fx.As(new(prometheus.Registerer)))),
		telemetry.Options(),
		toggles.Provide(source),
		toggles.ModuleSettings("mailer", func(_, now Settings) mailer.Settings { return mailer.Settings(now.Mailer) }),
		orchestrator.New(orchestrator.DataDir(source.Loaded.Settings.DataDir)),
		mailer.Module(),
		digest.Module(),
		alert.Module(),
		fx.Invoke(serve),
	)
}
