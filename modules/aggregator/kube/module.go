package kube

import (
	"context"
	"log/slog"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/modules/aggregator"
	"github.com/detectviz/switchyard/modules/noop"
	"github.com/detectviz/switchyard/orchestrator"
)

// Module is the aggregator with its real implementation, for an app's graph. The graph must supply Settings and a
// *slog.Logger; orchestrator.Reload may give it other Settings while it runs. Further options change or add to the module's declaration.
func Module(opts ...orchestrator.ModuleOption) fx.Option {
	return orchestrator.Module("aggregator", append([]orchestrator.ModuleOption{
		orchestrator.Flag(noop.AggregatorFlag),
		noop.AggregatorExport(),
		orchestrator.Provide(newModule),
		orchestrator.OnChange(orchestrator.StopFirst), // the port, and the lock of the data directory, exist once
	}, opts...)...)
}

// newModule ties a server's life to that of its module. A server that ends by itself turns the module Failed.
func newModule(lc fx.Lifecycle, settings Settings, log *slog.Logger, owner *orchestrator.Owner) (aggregator.Aggregator, error) {
	server, err := New(settings, log)
	if err != nil {
		return nil, err
	}
	lc.Append(fx.Hook{
		OnStart: func(ctx context.Context) error {
			if err := server.Start(ctx); err != nil {
				return err
			}
			owner.Go("aggregator", func(ctx context.Context) error {
				select {
				case <-ctx.Done():
					return nil
				case <-server.Done():
					return server.Err()
				}
			})
			return nil
		},
		OnStop: server.Stop,
	})
	return server, nil
}
