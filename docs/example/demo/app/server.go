package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/fx"

	"github.com/detectviz/switchyard/docs/example/alert"
	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/console"
	"github.com/detectviz/switchyard/toggles"
)

type served struct {
	fx.In

	Lifecycle fx.Lifecycle
	Settings  Settings
	Options   Options
	Engine    *orchestrator.Orchestrator
	Gate      *toggles.Gate
	Registry  *prometheus.Registry
	Log       *slog.Logger
	Alerter   alert.Alerter
}

// routes are the console, and one route of the app itself.
func routes(s served, serving context.Context) (*http.ServeMux, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /alert", func(w http.ResponseWriter, r *http.Request) {
		if err := s.Alerter.Alert(r.Context(), r.URL.Query().Get("text")); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	err := console.Register(mux, s.Engine, console.Settings{
		Listen:       s.Settings.HTTP.Listen,
		Token:        s.Settings.Token,
		Events:       s.Engine.Events(),
		Metrics:      promhttp.HandlerFor(s.Registry, promhttp.HandlerOpts{}),
		Degradations: []console.Degradation{{Name: "configuration", Check: s.Gate.LastError}},
		Audit:        s.Log,
		Serving:      serving,
	})
	return mux, err
}

// serve starts the server with the app. Streams of events end when it shuts down.
func serve(s served) error {
	serving, stopped := context.WithCancel(context.Background())
	mux, err := routes(s, serving)
	if err != nil {
		stopped()
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	server.RegisterOnShutdown(stopped)
	done := make(chan error, 1)
	s.Lifecycle.Append(fx.StartStopHook(
		func(ctx context.Context) error {
			listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Settings.HTTP.Listen)
			if err != nil {
				return err
			}
			go func() { done <- server.Serve(listener) }()
			if s.Options.Started != nil {
				s.Options.Started(listener.Addr().String())
			}
			return nil
		},
		func(ctx context.Context) error {
			err := server.Shutdown(ctx)
			if ended := <-done; !errors.Is(ended, http.ErrServerClosed) {
				err = errors.Join(err, ended)
			}
			return err
		},
	))
	return nil
}
