package webhook

import (
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/docs/example/noop"
	"github.com/detectviz/switchyard/orchestrator"
)

// Module is the notifier with its real implementation. The app's graph must supply Settings.
func Module() fx.Option {
	return orchestrator.Module("notifier",
		orchestrator.Flag(noop.NotifierFlag),
		noop.NotifierExport(),
		orchestrator.Provide(newClient, newWebhook),
		orchestrator.Timeouts{Drain: 5 * time.Second},
	)
}
