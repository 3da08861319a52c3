package alert

import (
	"log/slog"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/docs/example/mailer"
	"github.com/detectviz/switchyard/orchestrator"
)

// AnnotatedModule is Module with an annotated constructor. fx.Annotate hides what it needs, so Import says it.
func AnnotatedModule() fx.Option {
	return orchestrator.Module("alert",
		orchestrator.Flag("alert"),
		orchestrator.Export(noopAlerter(), liveAlerter),
		orchestrator.Import[mailer.Mailer](),
		orchestrator.Import[*slog.Logger](),
		orchestrator.Provide(fx.Annotate(newMailAlerter, fx.As(new(Alerter)))),
	)
}

func newMailAlerter(mail mailer.Mailer, log *slog.Logger) *alerter { return &alerter{mail, log} }
