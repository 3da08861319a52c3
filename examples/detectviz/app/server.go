package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"go.uber.org/fx"
)

// newMux makes the app's HTTP server and returns the mux that everybody registers routes on. It is the first thing that
// starts and the last that stops: while modules start, their noops answer, and long requests to a module have ended with
// it when the server shuts down.
func newMux(lc fx.Lifecycle, s Settings, log *slog.Logger) (*http.ServeMux, *address, serving) {
	mux := http.NewServeMux()
	bound := &address{}
	streams, endStreams := context.WithCancel(context.Background())
	requests, cancelRequests := context.WithCancel(context.Background())
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return requests },
	}
	server.RegisterOnShutdown(endStreams)
	served := make(chan error, 1)
	lc.Append(fx.Hook{
		OnStart: func(ctx context.Context) error {
			listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.HTTP.Listen)
			if err != nil {
				return fmt.Errorf("http.listen: %q: %w", s.HTTP.Listen, err)
			}
			bound.Addr = listener.Addr()
			go func() { served <- server.Serve(listener) }()
			return nil
		},
		OnStop: func(ctx context.Context) error {
			grace, cancel := context.WithTimeout(ctx, shutdownGrace)
			defer cancel()
			err := server.Shutdown(grace)
			cancelRequests()
			endStreams()
			if err != nil {
				err = server.Close()
			}
			if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
				err = errors.Join(err, serveErr)
			}
			return err
		},
	})
	return mux, bound, serving{streams}
}

// serving ends when the server begins to shut down: what would keep a connection busy for ever ends with it.
type serving struct{ context.Context }

// shutdownGrace is how long requests in flight may take when the app stops.
const shutdownGrace = 5 * time.Second

// address is where the server listens; set when it has started.
type address struct{ net.Addr }
