package toggles

import (
	"context"
	"errors"
	"log/slog"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

// Source is a configuration that has been loaded and can be loaded again: what an app has before its fx graph.
type Source[S any] struct {
	Loader *Loader[S]
	Loaded *Loaded[S]
}

// Open loads the configuration of an app. Do it before fx.New: an app that can't be configured should not be built.
func Open[S any](o Options[S]) (*Source[S], error) {
	loader := NewLoader(o)
	loaded, err := loader.Load()
	if err != nil {
		return nil, err
	}
	return &Source[S]{loader, loaded}, nil
}

// Provide puts a configuration into the fx graph: the settings S, *Loaded[S], *Gate and orchestrator.Gate. While the app
// runs, the gate evaluates and the files are watched. The settings are those of the source: reloads don't change them, but
// for those of modules, see ModuleSettings.
func Provide[S any](source *Source[S]) fx.Option {
	return fx.Options(
		fx.Provide(
			func() S { return source.Loaded.Settings },
			func() *Loaded[S] { return source.Loaded },
			func(p params) (*Gate, *follower[S], error) { return source.run(p) },
			func(g *Gate) orchestrator.Gate { return g },
		),
		fx.Invoke(func(f *follower[S], p modulesParams[S]) { // not by the constructor of the gate, which the engine needs
			f.modules = &modules[S]{boot: source.Loaded.Settings, engine: p.Engine, all: p.All, log: f.log}
		}),
	)
}

type params struct {
	fx.In

	Lifecycle fx.Lifecycle
	Logger    *slog.Logger `optional:"true"`
}

// run makes the gate, and starts and stops it and the watcher with the app.
func (s *Source[S]) run(p params) (*Gate, *follower[S], error) {
	options := s.Loader.options
	log := options.Logger
	if log == nil {
		log = p.Logger
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if options.Gate.Logger == nil {
		options.Gate.Logger = log
	}
	if options.Watch.Logger == nil {
		options.Watch.Logger = log
	}
	gate, err := NewGate(options.Gate)
	if err != nil {
		return nil, nil, err
	}
	gate.Apply(s.Loaded.Flags)

	follower := &follower[S]{loader: s.Loader, gate: gate, log: log, current: s.Loaded, filled: s.Loaded.filled}
	watcher := NewWatcher(options.Files, follower.reload, options.Watch)
	watcher.knows(s.Loaded.files)
	p.Lifecycle.Append(fx.Hook{
		OnStart: func(ctx context.Context) error {
			logWarnings(log, s.Loaded.Warnings)
			if err := gate.Start(ctx); err != nil {
				return err
			}
			if len(options.Files) > 0 {
				watcher.Start()
			}
			return nil
		},
		OnStop: func(ctx context.Context) error {
			return errors.Join(watcher.Stop(ctx), gate.Stop(ctx))
		},
	})
	return gate, follower, nil
}
