package webhook_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/docs/example/noop"
	"github.com/detectviz/switchyard/docs/example/notifier"
	"github.com/detectviz/switchyard/docs/example/notifier/webhook"
	"github.com/detectviz/switchyard/orchestrator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gate has every flag on or off.
type gate bool

func (g gate) Declare(...orchestrator.FlagDeclaration) error { return nil }
func (g gate) Subscribe(func()) func()                       { return func() {} }
func (g gate) Decide(flag string) orchestrator.Decision {
	return orchestrator.Decision{Flag: flag, Enabled: bool(g), Source: "test"}
}

func start(t *testing.T, on gate, modules ...fx.Option) notifier.Notifier {
	t.Helper()
	var n notifier.Notifier
	app := fxtest.New(t, fx.NopLogger, orchestrator.New(), fx.Options(modules...),
		fx.Provide(func() orchestrator.Gate { return on }), fx.Populate(&n))
	app.RequireStart()
	t.Cleanup(app.RequireStop)
	return n
}

func TestNotifierServesWhenOnAndSaysSoWhenOff(t *testing.T) {
	for _, on := range []gate{true, false} {
		var hits atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
		t.Cleanup(server.Close)
		n := start(t, on, fx.Supply(webhook.Settings{URL: server.URL}), webhook.Module())

		err := n.Notify(t.Context(), notifier.Message{Title: "disk full"})

		if off := errors.Is(err, orchestrator.ErrDisabled); off == bool(on) || (err != nil) != off {
			t.Errorf("flag %v: Notify returned %v", on, err)
		}
		if want := map[gate]int32{true: 1, false: 0}[on]; hits.Load() != want {
			t.Errorf("flag %v: %d messages arrived, want %d", on, hits.Load(), want)
		}
	}
}

func TestNotLinked(t *testing.T) {
	n := start(t, true, noop.NotifierModule())
	if err := n.Notify(t.Context(), notifier.Message{}); !errors.Is(err, orchestrator.ErrDisabled) {
		t.Errorf("Notify returned %v, want ErrDisabled", err)
	}
}

func TestRefusedMessageIsAnError(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	n := start(t, true, fx.Supply(webhook.Settings{URL: server.URL}), webhook.Module())
	if err := n.Notify(t.Context(), notifier.Message{}); err == nil || errors.Is(err, orchestrator.ErrDisabled) {
		t.Errorf("Notify returned %v, want the refusal", err)
	}
}
