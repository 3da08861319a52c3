// Package digest is a module that can't work without another one: it collects lines and mails them.
package digest

import (
	"context"
	"strings"
	"sync"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/docs/example/mailer"
	"github.com/detectviz/switchyard/orchestrator"
)

//go:generate go tool livegen -type Digest

// Digest collects lines and mails them together. All methods are safe for concurrent use.
type Digest interface {
	// Add keeps a line for the next mail.
	Add(line string) error
	// Send mails what was added, if anything was.
	Send(ctx context.Context) error
}

// Module is the digest. It runs only while the mailer does.
func Module() fx.Option {
	return orchestrator.Module("digest",
		orchestrator.Flag("digest"),
		orchestrator.Requires("mailer"),
		orchestrator.Export(noopDigest(), liveDigest),
		orchestrator.Provide(newDigest),
	)
}

type digest struct {
	mail  mailer.Mailer
	mu    sync.Mutex
	lines []string
}

var _ Digest = (*digest)(nil)

// newDigest takes the other module by its interface, like any value of the app's graph.
func newDigest(mail mailer.Mailer) Digest { return &digest{mail: mail} }

func (d *digest) Add(line string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
	return nil
}

func (d *digest) Send(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.lines) == 0 {
		return nil
	}
	err := d.mail.Send(ctx, mailer.Mail{To: "team@example.com", Subject: "Digest", Body: strings.Join(d.lines, "\r\n")})
	if err == nil {
		d.lines = nil
	}
	return err
}

// Drain sends what is left. The mailer still runs: it stops after the digest.
func (d *digest) Drain(ctx context.Context) error { return d.Send(ctx) }
