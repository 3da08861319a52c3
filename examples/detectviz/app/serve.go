package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/spf13/pflag"
	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles"
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
	f.StringVar(&o.dataDir, "data-dir", "", "directory for everything that is kept (default "+defaultDataDir+")")
	f.StringVar(&o.http, "http", "", "address of the console, API and app pages (default 127.0.0.1:8080)")
	f.StringArrayVar(&o.set, "set", nil, "any setting as key=value, for example aggregator.listen=127.0.0.1:7443; repeatable")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
}

// open loads the configuration.
func (o *serveOptions) open(log *slog.Logger) (*toggles.Source[Settings], error) {
	sets := slices.Clone(o.set)
	for _, flag := range []struct{ key, value string }{{"dataDir", o.dataDir}, {"http.listen", o.http}} {
		if flag.value != "" {
			sets = append(sets, flag.key+"="+flag.value)
		}
	}
	return toggles.Open(toggles.Options[Settings]{
		Defaults:    defaultSettings(),
		BuiltIn:     toggles.Document{Name: "detectviz.yaml", Data: builtIn},
		Files:       o.files,
		EnvPrefix:   "DETECTVIZ_",
		Sets:        sets,
		Environment: o.environment,
		Logger:      log,
		OnReload: func(_ *toggles.Loaded[Settings], changed []string) {
			if len(changed) > 0 {
				log.Warn("settings changed that take effect when detectviz is started again", "keys", changed)
			}
		},
	})
}

// serve runs the app until ctx ends, or until a module ends it.
func serve(ctx context.Context, o serveOptions, stdout, stderr io.Writer, modules []fx.Option) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return &usageError{fmt.Errorf("--log-level: %q: allowed are debug, info, warn and error", o.logLevel)}
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	source, err := o.open(log)
	if err != nil {
		return err
	}
	if keys := source.Loaded.Settings.unsupported(); len(keys) > 0 {
		log.Warn("settings that this version does not support are set; nothing is done with them", "keys", keys)
	}
	var r running
	app := compose(source, log, modules, &r)
	if err := app.Err(); err != nil {
		return err
	}
	// A context that ends keeps fx from stopping what has started, so the signal goes to the engine instead: it gives up, the
	// start returns, and everything is stopped in order.
	starting, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, r.Orchestrator.BeginStop)()
	stop := func() error {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return app.Stop(stopping)
	}
	if err := app.Start(starting); err != nil {
		return errors.Join(err, stop())
	}
	if ctx.Err() != nil { // told to end while it was starting
		return stop()
	}
	if err := announce(stdout, source.Loaded.Environment, r); err != nil {
		log.Warn("the table of modules can't be printed", "error", err)
	}
	ended := app.Wait() // of a module that ends the app, or of the signal that ends ctx too
	exitCode := 0
	select {
	case <-ctx.Done():
	case end := <-ended:
		exitCode = end.ExitCode
	}
	log.Info("detectviz stops")
	if err := stop(); err != nil {
		return err
	}
	if exitCode != 0 {
		return fmt.Errorf("a module ended the app with exit code %d", exitCode)
	}
	return nil
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
