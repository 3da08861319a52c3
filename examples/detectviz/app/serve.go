package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/spf13/pflag"
	"go.uber.org/fx"

	toggles "github.com/detectviz/switchyard/internal/tg"
	"github.com/detectviz/switchyard/orchestrator"
)

// serveOptions are the command line of serve.
type serveOptions struct {
	files       []string
	environment string
	dataDir     string
	http        string
	set         []string
	logLevel    string
}

func (o *serveOptions) addTo(f *pflag.FlagSet) {
	f.StringArrayVar(&o.files, "config", nil, "configuration file, YAML or JSON; repeatable, a later one wins")
	f.StringVar(&o.environment, "env", "", "environment whose overlay applies, for example dev or prod")
	f.StringVar(&o.dataDir, "data-dir", "", "directory for everything that is kept (default ./detectviz-data)")
	f.StringVar(&o.http, "http", "", "address of the console, API and app pages (default 127.0.0.1:8080)")
	f.StringArrayVar(&o.set, "set", nil, "any setting as key=value, for example aggregator.listen=127.0.0.1:7443; repeatable")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
}

// source loads the configuration for the first time.
func (o *serveOptions) source(log *slog.Logger) (*toggles.Source[Settings], error) {
	text := map[string]string{}
	for key, value := range map[string]string{"dataDir": o.dataDir, "http.listen": o.http} {
		if value != "" {
			text[key] = value
		}
	}
	return toggles.NewSource(toggles.Options[Settings]{
		Defaults:    defaultSettings(),
		BuiltIn:     builtIn,
		BuiltInName: "detectviz.yaml",
		Files:       o.files,
		EnvPrefix:   "DETECTVIZ_",
		Set:         o.set,
		Text:        text,
		Environment: o.environment,
		Validate:    Settings.Validate,
	}, log)
}

// serve runs the app until ctx ends, or until a module ends it.
func serve(ctx context.Context, o serveOptions, stdout, stderr io.Writer, modules []fx.Option) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return &usageError{fmt.Errorf("--log-level: %q: allowed are debug, info, warn and error", o.logLevel)}
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	source, err := o.source(log)
	if err != nil {
		return err
	}
	var r running
	app := compose(source, log, modules, &r)
	if err := app.Err(); err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := app.Start(starting); err != nil {
		return err
	}
	if err := announce(stdout, source.Environment(), r); err != nil {
		return err
	}
	ended := app.Wait()
	select {
	case <-ctx.Done():
	case signal := <-ended:
		log.Info("a module ends the app", "exitCode", signal.ExitCode)
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return app.Stop(stopping)
}

// announce prints what runs and how to reach it.
func announce(w io.Writer, environment string, r running) error {
	fmt.Fprintf(w, "detectviz is running (environment %s)\n\n", environment)
	if err := writeTable(w, r.Orchestrator.Status()); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nconsole     http://%s\n", r.Address)
	if e, err := r.Orchestrator.Explain("aggregator"); err == nil && e.State == orchestrator.Running {
		fmt.Fprintf(w, "kubeconfig  %s\n", filepath.Join(r.Settings.AggregatorDir(), "admin.kubeconfig"))
	}
	return nil
}
