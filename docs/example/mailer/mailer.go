// Package mailer is a module in one folder: the interface that the app calls, its noop and proxy, and an implementation that
// spools mails into a folder, from where a mail server picks them up.
package mailer

import "context"

//go:generate go tool livegen -type Mailer

// Mailer sends mails. All methods are safe for concurrent use, and may be called at any time.
type Mailer interface {
	// Send returns when the mail was accepted, or with an error when it was not. While the module is off, the error
	// matches orchestrator.ErrDisabled.
	Send(ctx context.Context, m Mail) error
}

// Mail is one message.
type Mail struct {
	To      string
	Subject string
	Body    string
}
