// Package alert is a module that works better with another one, but also without: it mails alerts, or writes them to the log.
package alert

import (
	"context"
	"errors"
	"log/slog"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/docs/example/mailer"
	"github.com/detectviz/switchyard/orchestrator"
)

//go:generate go tool livegen -type Alerter

// Alerter tells somebody that something is wrong. All methods are safe for concurrent use.
type Alerter interface {
	// Alert returns when somebody will read the text, or with an error.
	Alert(ctx context.Context, text string) error
}

// Module is the alerter. The app's graph must supply a *slog.Logger.
func Module() fx.Option {
	return orchestrator.Module("alert",
		orchestrator.Flag("alert"),
		orchestrator.Export(noopAlerter(), liveAlerter),
		orchestrator.Provide(newAlerter),
	)
}

type alerter struct {
	mail mailer.Mailer
	log  *slog.Logger
}

var _ Alerter = (*alerter)(nil)

func newAlerter(mail mailer.Mailer, log *slog.Logger) Alerter { return &alerter{mail, log} }

func (a *alerter) Alert(ctx context.Context, text string) error {
	err := a.mail.Send(ctx, mailer.Mail{To: "oncall@example.com", Subject: text})
	if errors.Is(err, orchestrator.ErrDisabled) {
		a.log.WarnContext(ctx, "alert", "text", text, "notMailed", err)
		return nil
	}
	return err
}
