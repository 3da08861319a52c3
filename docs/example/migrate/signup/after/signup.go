// Package after calls the mailer without asking whether it is enabled. It is where the how-to "migrate-from-if-enabled" ends.
package after

import (
	"context"
	"errors"
	"fmt"

	"github.com/detectviz/switchyard/docs/example/mailer"
	"github.com/detectviz/switchyard/orchestrator"
)

// Signup registers users.
type Signup struct{ mail mailer.Mailer }

// NewSignup takes the mailer, on or off.
func NewSignup(mail mailer.Mailer) *Signup { return &Signup{mail} }

// Register welcomes the user. That a mailer is off is no reason to refuse anybody.
func (s *Signup) Register(ctx context.Context, user string) error {
	err := s.mail.Send(ctx, mailer.Mail{To: user, Subject: "Welcome"})
	if errors.Is(err, orchestrator.ErrDisabled) {
		return nil
	}
	return err
}

// ResetPassword needs the mail: the error says that the mailer is off, and why.
func (s *Signup) ResetPassword(ctx context.Context, user string) error {
	if err := s.mail.Send(ctx, mailer.Mail{To: user, Subject: "Your new password"}); err != nil {
		return fmt.Errorf("reset the password of %q: %w", user, err)
	}
	return nil
}
