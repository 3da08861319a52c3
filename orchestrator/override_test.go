package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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

func TestOverrideThatCannotBeKept(t *testing.T) {
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
	if _, err := orch.Override("mailer", "on", 0, "why", "ann"); err == nil {
		t.Error("an override that can't be kept was accepted")
	}
	if e, err := orch.Explain("mailer"); err != nil || e.State != orchestrator.Running || e.Override != nil {
		t.Errorf("state %s, override %v, want Running and none: nothing may be half applied", e.State, e.Override)
	}
	// But for the kill switch, which must work on a full disk most of all.
	if v, err := orch.Override("mailer", "off", 0, "why", "ann"); err != nil || v.Unsaved == "" {
		t.Errorf("override %+v, error %v, want one that says that it is not saved", v, err)
	}
	if e, err := orch.Explain("mailer"); err != nil || e.Implementation != "noop" || !strings.Contains(e.Decision.Source, "could not be saved") {
		t.Errorf("%s serves, decided by %q, want the noop and a word about the disk", e.Implementation, e.Decision.Source)
	}
}

// An override ends to the moment, also when another one took its place, and leaves an event that names nobody.
func TestOverrideEndsByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlant("a", "on", "b", "v1")
		p.start(t, orchestrator.New(), machineOf[nameA](p, "a"), machineOf[nameB](p, "b", twoVariants()...))
		began := time.Now()
		p.override(t, "a", "off", time.Hour)
		p.override(t, "b", "v2", 2*time.Hour)
		p.override(t, "a", "off", 30*time.Minute) // the last one counts, although it is shorter
		require := func(what, want string) {
			t.Helper()
			if got := p.states(t); got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		require("at first", "a Off noop, b Running v2")
		time.Sleep(30*time.Minute - time.Millisecond)
		require("before the end", "a Off noop, b Running v2")
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require("after the end", "a Running real, b Running v2")
		if since := p.explain(t, "a").Since.Sub(began); since != 30*time.Minute {
			t.Errorf("it runs after %v, want 30m", since)
		}
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		require("after both", "a Running real, b Running v1")
		var ends []string
		records, _ := p.orch.Events().Since(0)
		for _, r := range records {
			if e, ok := r.Event.(orchestrator.OverrideChanged); ok && e.To == nil {
				ends = append(ends, fmt.Sprintf("%s %s by %q after %v: %s", e.Module, e.From.To, e.Actor, r.At.Sub(began), e.Reason))
			}
		}
		want := []string{`a off by "" after 30m0s: its time has passed`, `b v2 by "" after 2h0m0s: its time has passed`}
		if !slices.Equal(ends, want) {
			t.Errorf("events %q, want %q", ends, want)
		}
	})
}

// What the last good decision is does not depend on an override: when it is cleared, it is over.
func TestClearedOverrideIsNotTheLastGoodDecision(t *testing.T) {
	t.Parallel()
	p := newPlant("a", "v1")
	p.start(t, seldom(), machineOf[nameA](p, "a", twoVariants()...))
	p.override(t, "a", "off", 0)
	p.states(t)
	p.turn("a", "v3") // there is none
	p.states(t)
	if err := p.orch.ClearOverride("a", "ann", "over"); err != nil {
		t.Fatal(err)
	}
	if got, want := p.states(t), "a Running v1"; got != want {
		t.Errorf("states %q (%s), want %q: the last good word of the flag", got, p.explain(t, "a").Reason, want)
	}
}

// An operator's kill switch that is being written to disk while a change is rolled back, or begins, is not lost: whichever is
// first, in the end the module is off.
func TestKillSwitchIsNotLostBesideAChange(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"begins", "rolls back"} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := newPlant()
			entered, release := make(chan struct{}), make(chan struct{})
			p.when("start b", func(context.Context) error { close(entered); <-release; return errBroken })
			p.start(t, orchestrator.New(orchestrator.DataDir(dir), orchestrator.Retry(time.Hour, time.Hour)), machineOf[nameA](p, "a"), machineOf[nameB](p, "b"))
			plan := p.plan(t, set("a", "on", "b", "on"))
			var done <-chan error
			if moment == "rolls back" {
				done = applying(p, t.Context(), plan)
				<-entered
			}
			killed := make(chan error, 1)
			go func() { // a long reason takes its time to be written
				_, err := p.orch.Override("a", "off", 0, strings.Repeat("because ", 1<<21), "ann")
				killed <- err
			}()
			for writing := false; !writing; runtime.Gosched() {
				files, err := filepath.Glob(filepath.Join(dir, "overrides.json.*"))
				if err != nil {
					t.Fatal(err)
				}
				v := p.explain(t, "a").Override
				writing = len(files) > 0 || v != nil && v.To == "off"
			}
			if moment == "begins" {
				done = applying(p, t.Context(), plan)
			}
			close(release)
			var failed *orchestrator.ApplyError
			var stale *orchestrator.StalePlanError
			if err := <-done; !errors.As(err, &failed) && !errors.As(err, &stale) {
				t.Errorf("the change got %v, want an *ApplyError or a *StalePlanError", err)
			}
			if err := <-killed; err != nil {
				t.Fatal(err)
			}
			if got, want := p.states(t)+"; "+p.overrides(t), "a Off noop, b Off noop; a off"; got != want {
				t.Errorf("afterwards %q, want %q", got, want)
			}
		})
	}
}

// Who has switched a module off is told the truth at once: no call reaches it any more.
func TestOverrideIsActedOnWhenItReturns(t *testing.T) {
	t.Parallel()
	p := newPlant("a", "on")
	p.start(t, seldom(), machineOf[nameA](p, "a"))
	for range 100 {
		p.override(t, "a", "off", 0)
		if e := p.explain(t, "a"); e.Implementation != "noop" || e.Decision.Layer != "override" {
			t.Fatalf("after the override it is %s, decided by %s (%s)", e.Implementation, e.Decision.Layer, e.Reason)
		}
		if err := p.orch.ClearOverride("a", "ann", ""); err != nil {
			t.Fatal(err)
		}
		if e := p.explain(t, "a"); e.Decision.Layer == "override" {
			t.Fatalf("after clearing it, the override still decides: %s", e.Reason)
		}
		p.states(t)
	}
}
