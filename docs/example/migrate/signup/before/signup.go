// Package before asks "if enabled" wherever the mailer is used. It is where the how-to "migrate-from-if-enabled" begins.
package before

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Config is what the app reads at its start.
type Config struct {
	MailEnabled bool
	MailDir     string
}

// Spooler writes mails into a folder.
type Spooler struct{ dir string }

// OpenSpooler makes the folder.
func OpenSpooler(dir string) (*Spooler, error) {
	return &Spooler{dir}, os.MkdirAll(dir, 0o700)
}

// Send writes one mail.
func (s *Spooler) Send(_ context.Context, to, subject string) error {
	return os.WriteFile(filepath.Join(s.dir, to+".eml"), []byte("Subject: "+subject+"\r\n\r\n"), 0o600)
}

// Signup registers users.
type Signup struct {
	mail *Spooler // nil: mails are off
}

// NewSignup makes the mailer too, if it is enabled.
func NewSignup(c Config) (*Signup, error) {
	s := &Signup{}
	if c.MailEnabled {
		mail, err := OpenSpooler(c.MailDir)
		if err != nil {
			return nil, fmt.Errorf("signup: %w", err)
		}
		s.mail = mail
	}
	return s, nil
}

// Register welcomes the user, if mails are enabled.
func (s *Signup) Register(ctx context.Context, user string) error {
	if s.mail != nil {
		return s.mail.Send(ctx, user, "Welcome")
	}
	return nil
}

// ResetPassword needs the mail.
func (s *Signup) ResetPassword(ctx context.Context, user string) error {
	if s.mail == nil {
		return fmt.Errorf("reset the password of %q: mails are not enabled", user)
	}
	return s.mail.Send(ctx, user, "Your new password")
}
