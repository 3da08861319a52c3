package mailer

import (
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

// Module is the mailer. The app's graph must supply Settings.
func Module() fx.Option {
	return orchestrator.Module("mailer",
		orchestrator.Flag("mailer"),
		orchestrator.Export(noopMailer(), liveMailer),
		orchestrator.Provide(newSpool, newSpoolMailer),
		orchestrator.Timeouts{Drain: 5 * time.Second},
	)
}
