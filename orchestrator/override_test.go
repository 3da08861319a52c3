package orchestrator_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/detectviz/switchyard/orchestrator"
)

func realMailer() orchestrator.ModuleOption {
	return orchestrator.Provide(func() mailer { return mailerFunc(func(context.Context) error { return nil }) })
}

func TestOverride(t *testing.T) {
	t.Parallel()
	g := newGate("mail")
	a := startApp(t, g, mailerModule(realMailer()))
	a.requireState(t, orchestrator.Running)
	if _, err := a.orch.Override("mailer", "off", 0, "too much mail", "ann"); err != nil {
		t.Fatal(err)
	}
	e := a.requireState(t, orchestrator.Off)
	if e.Desired != "off" || e.Decision.Layer != "override" || !strings.Contains(e.Reason, "ann") || !strings.Contains(e.Reason, "too much mail") {
		t.Errorf("explanation %+v, want the override with actor and reason", e)
	}
	if err := a.mail.Send(t.Context()); !errors.Is(err, orchestrator.ErrDisabled) || !strings.Contains(err.Error(), "too much mail") {
		t.Errorf("a call got %v, want ErrDisabled with the reason of the override", err)
	}
	g.set("mail", false)
	g.set("mail", true)
	a.requireState(t, orchestrator.Off) // the flag does not matter
	if err := a.orch.ClearOverride("mailer", "ann", "over"); err != nil {
		t.Fatal(err)
	}
	a.requireState(t, orchestrator.Running)

	if _, err := a.orch.Override("mailer", "off", 50*time.Millisecond, "for a moment", "ann"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "off for a moment", func() bool { return a.status(t).Generation == 2 && a.status(t).State != orchestrator.Running })
	eventually(t, "on again by itself", func() bool { e := a.status(t); return e.State == orchestrator.Running && e.Override == nil })
}

func TestOverrideRefused(t *testing.T) {
	t.Parallel()
	a := startApp(t, newGate(), mailerModule(realMailer()))
	var field *orchestrator.OverrideError
	var unknown *orchestrator.UnknownModuleError
	for _, tt := range []struct {
		module, reason, actor string
		ttl                   time.Duration
		want                  any
	}{
		{"mailer", "", "ann", 0, &field},
		{"mailer", "why", " ", 0, &field},
		{"mailer", "why", "ann", -time.Second, &field},
		{"nobody", "why", "ann", 0, &unknown},
	} {
		if _, err := a.orch.Override(tt.module, "on", tt.ttl, tt.reason, tt.actor); !errors.As(err, tt.want) {
			t.Errorf("%+v: error %v, want a %T", tt, err, tt.want)
		}
	}
	a.requireState(t, orchestrator.Off)
}

// killList is a gate that has switched everything off for good.
type killList struct{ *gate }

func (k killList) Decide(flag string) orchestrator.Decision {
	return orchestrator.Decision{Flag: flag, Variant: "off", Layer: "kill-list", Source: "environment SWITCHYARD_DISABLE"}
}

func TestKillListBeatsOverride(t *testing.T) {
	t.Parallel()
	var orch *orchestrator.Orchestrator
	app := fxtest.New(t, fx.NopLogger, orchestrator.New(), fx.Populate(&orch), mailerModule(realMailer()),
		fx.Provide(func() orchestrator.Gate { return killList{newGate()} }))
	app.RequireStart()
	t.Cleanup(func() { app.RequireStop() })
	if _, err := orch.Override("mailer", "on", 0, "please", "ann"); err != nil {
		t.Fatal(err)
	}
	if err := orch.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := orch.Status()[0]; s.State != orchestrator.Off || !strings.Contains(s.Reason, "SWITCHYARD_DISABLE") {
		t.Errorf("state %s (%s), want Off by the kill list", s.State, s.Reason)
	}
}

func TestOverrideSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	boot := func() (*fxtest.App, *orchestrator.Orchestrator) {
		var orch *orchestrator.Orchestrator
		app := fxtest.New(t, fx.NopLogger, orchestrator.New(orchestrator.DataDir(dir)), fx.Populate(&orch), mailerModule(realMailer()),
			fx.Provide(func() orchestrator.Gate { return newGate("mail") }))
		app.RequireStart()
		return app, orch
	}
	app, orch := boot()
	if _, err := orch.Override("mailer", "off", time.Hour, "maintenance", "ann"); err != nil {
		t.Fatal(err)
	}
	app.RequireStop()
	app, orch = boot()
	e, err := orch.Explain("mailer")
	if err != nil || e.State != orchestrator.Off || e.Override == nil || e.Override.Reason != "maintenance" || e.Override.Until.IsZero() {
		t.Errorf("after a restart: %+v (%v), want Off by the override", e, err)
	}
	if err := orch.ClearOverride("mailer", "ann", "over"); err != nil {
		t.Fatal(err)
	}
	app.RequireStop()
	app, orch = boot()
	if s := orch.Status()[0]; s.State != orchestrator.Running {
		t.Errorf("after it was cleared and a restart: %s, want Running", s.State)
	}
	app.RequireStop()

	if err := os.WriteFile(filepath.Join(dir, "overrides.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := fx.New(fx.NopLogger, orchestrator.New(orchestrator.DataDir(dir)), mailerModule(realMailer()),
		fx.Provide(func() orchestrator.Gate { return newGate("mail") }))
	if err := broken.Err(); err == nil || !strings.Contains(err.Error(), "overrides.json") {
		t.Errorf("a damaged file gave %v, want an error that names it", err)
	}
}

func TestOverrideThatCannotBeKeptIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var orch *orchestrator.Orchestrator
	app := fxtest.New(t, fx.NopLogger, orchestrator.New(orchestrator.DataDir(filepath.Join(file, "data"))), fx.Populate(&orch), mailerModule(realMailer()),
		fx.Provide(func() orchestrator.Gate { return newGate("mail") }))
	app.RequireStart()
	t.Cleanup(func() { app.RequireStop() })
	if _, err := orch.Override("mailer", "off", 0, "why", "ann"); err == nil {
		t.Error("an override that can't be kept was accepted")
	}
	if s := orch.Status()[0]; s.State != orchestrator.Running {
		t.Errorf("state %s, want Running: nothing may be half applied", s.State)
	}
}
