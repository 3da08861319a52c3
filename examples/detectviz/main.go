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
	"github.com/detectviz/switchyard/toggles"
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
		toggles.ModuleSettings("aggregator", func(boot, now app.Settings) kube.Settings {
			k := kube.DefaultSettings()
			k.DataDir = boot.AggregatorDir() // what is kept does not move while the app runs
			k.Listen = now.Aggregator.Listen
			k.Store = kube.StoreSettings(now.Aggregator.Store)
			k.Backends = kube.BackendSettings(now.Aggregator.Backends)
			k.Timeouts = kube.TimeoutSettings(now.Aggregator.Timeouts)
			return k
		}),
		kube.Module(),
	)
}
