// Command detectviz is a small observability platform, and the example of an app that is built with Switchyard: modules
// that flags switch on and off while it runs.
package main

import (
	"log/slog"
	"os"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/examples/detectviz/app"
	"github.com/detectviz/switchyard/modules/aggregator/kube"
	"github.com/detectviz/switchyard/modules/noop"
)

func main() {
	os.Exit(app.Main(
		aggregator(),
		noop.DataplaneModule(),
	))
}

// aggregator is the real API aggregator, with its settings taken from the app's.
func aggregator() fx.Option {
	return fx.Options(
		fx.Invoke(func(log *slog.Logger) { kube.SetProcessLogger(log) }),
		fx.Provide(func(s app.Settings) kube.Settings {
			k := kube.DefaultSettings()
			k.DataDir = s.AggregatorDir()
			k.Listen = s.Aggregator.Listen
			k.Store = kube.StoreSettings(s.Aggregator.Store)
			k.Backends = kube.BackendSettings(s.Aggregator.Backends)
			k.Timeouts = kube.TimeoutSettings(s.Aggregator.Timeouts)
			return k
		}),
		kube.Module(),
	)
}
