package digest_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/docs/example/digest"
	"github.com/detectviz/switchyard/docs/example/mailer"
	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/orchestratortest"
)

// outbox is a mailer for tests, which keeps what is sent.
type outbox struct {
	mu   sync.Mutex
	sent []mailer.Mail
}

func (o *outbox) Send(_ context.Context, m mailer.Mail) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = append(o.sent, m)
	return nil
}

func (o *outbox) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.sent)
}

// modules are those of the app, with the settings that they need.
func modules() fx.Option {
	return fx.Options(fx.Supply(mailer.Settings{}), mailer.Module(), digest.Module())
}

func TestDrainSendsWhatIsLeft(t *testing.T) {
	t.Parallel()
	var lines digest.Digest
	out := &outbox{}
	app := orchestratortest.New(t, modules(), fx.Populate(&lines),
		orchestratortest.Enable("mailer", "digest"),
		orchestratortest.Replace[mailer.Mailer](out),
	)
	if err := lines.Add("a disk is full"); err != nil {
		t.Fatal(err)
	}

	app.Disable("digest")

	app.RequireState("digest", orchestrator.Off)
	if out.count() != 1 {
		t.Errorf("%d mails were sent, want 1", out.count())
	}
}

func TestWithoutMailer(t *testing.T) {
	t.Parallel()
	var lines digest.Digest
	app := orchestratortest.New(t, modules(), fx.Populate(&lines),
		orchestratortest.Enable("digest"),
		orchestratortest.Noop("mailer"), // stays off, whatever its flag says
	)

	app.RequireState("digest", orchestrator.Waiting)

	if err := lines.Add("a disk is full"); !errors.Is(err, orchestrator.ErrDisabled) {
		t.Errorf("Add returned %v, want ErrDisabled", err)
	}
}

func TestMailerComesLater(t *testing.T) {
	t.Parallel()
	app := orchestratortest.New(t, modules(),
		orchestratortest.Enable("digest"),
		orchestratortest.Replace[mailer.Mailer](&outbox{}),
	)
	app.RequireNever("digest", orchestrator.Failed)

	app.Enable("mailer")
	app.RequireState("digest", orchestrator.Running)
	app.Disable("mailer")

	app.RequireState("digest", orchestrator.Waiting)
	app.RequireOrder("mailer: Starting -> Running", "digest: Waiting -> Starting", "digest: Stopping -> Off", "mailer: Stopping -> Off")
}

func TestMailerFails(t *testing.T) {
	t.Parallel()
	app := orchestratortest.New(t, modules(),
		orchestratortest.Enable("mailer", "digest"),
		orchestratortest.Replace[mailer.Mailer](&outbox{}),
		orchestratortest.Fault("mailer", orchestratortest.Start, orchestratortest.Error(errors.New("no route to host"))),
	)
	app.RequireState("mailer", orchestrator.Failed)
	app.RequireState("digest", orchestrator.Waiting)

	app.Heal("mailer")

	app.RequireState("digest", orchestrator.Running)
}

func TestEveryCombination(t *testing.T) {
	t.Parallel()
	orchestratortest.Matrix(t, []string{"mailer", "digest"}, func(t *testing.T, on map[string]bool) {
		var lines digest.Digest
		orchestratortest.New(t, modules(), fx.Populate(&lines),
			orchestratortest.Flags(on),
			orchestratortest.Replace[mailer.Mailer](&outbox{}),
		)

		err := lines.Add("a disk is full")

		if runs := on["mailer"] && on["digest"]; errors.Is(err, orchestrator.ErrDisabled) == runs || runs && err != nil {
			t.Errorf("Add returned %v", err)
		}
	})
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	orchestratortest.RunScenarios(t, "testdata", func() []fx.Option {
		return []fx.Option{modules(), orchestratortest.Replace[mailer.Mailer](&outbox{})}
	})
}
