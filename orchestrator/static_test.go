package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/detectviz/switchyard/orchestrator"
)

// statically is the mailer of a rig that is decided when the app is built; its copies are on1, on2 ...
func (r *rig) statically(opts ...orchestrator.ModuleOption) fx.Option {
	return mailerModule(append([]orchestrator.ModuleOption{orchestrator.Static(), orchestrator.Provide(r.newMailer)}, opts...)...)
}

// buildGated builds an app that is not started.
func buildGated(t testing.TB, g orchestrator.Gate, opts ...fx.Option) *app {
	t.Helper()
	a := &app{}
	a.App = fxtest.New(t, append([]fx.Option{fx.NopLogger, fx.Provide(func() orchestrator.Gate { return g }),
		fx.Populate(&a.orch, &a.mail, &a.live)}, opts...)...)
	return a
}

func TestStaticOn(t *testing.T) {
	t.Parallel()
	r := newRig()
	a := buildGated(t, newSelector("mail=on"), orchestrator.New(), r.statically())
	if got := r.names("on"); len(got) != 1 {
		t.Fatalf("%d copies were made while the app was built, want 1", len(got))
	}
	requireJournal(t, r, "hooks before the app starts", "")
	c, ok := a.mail.(*mailCopy)
	if !ok {
		t.Fatalf("the consumer got a %T, want the implementation itself", a.mail)
	}
	a.RequireStart()
	lease := a.live.Acquire()
	if lease.Value != mailer(c) || !a.live.Enabled() {
		t.Errorf("the handle leads to %v, enabled %v, want the same value", lease.Value, a.live.Enabled())
	}
	lease.Release()
	e := a.requireState(t, orchestrator.Running)
	if e.Implementation != "real" || e.Generation != 1 || e.Reason != `flag "mail" is on (test)` || e.Desired != "on" {
		t.Errorf("status %+v, want the real one in generation 1", e.Status)
	}
	a.RequireStop()
	requireJournal(t, r, "hooks", "start on1, drain on1, stop on1")
	if got := r.names("on"); len(got) != 1 {
		t.Errorf("%d copies were made, want 1", len(got))
	}
}

func TestStaticOff(t *testing.T) {
	t.Parallel()
	r := newRig()
	a := buildGated(t, newSelector(), orchestrator.New(), r.statically())
	a.RequireStart()
	if _, ok := a.mail.(*noMail); !ok {
		t.Errorf("the consumer got a %T, want the noop itself", a.mail)
	}
	var disabled *orchestrator.DisabledError
	if err := a.mail.Send(t.Context()); !errors.As(err, &disabled) || disabled.Module != "mailer" || !strings.Contains(disabled.Reason, "off (test)") {
		t.Errorf("a call got %v, want a *DisabledError with the reason", err)
	}
	if e := a.requireState(t, orchestrator.Off); a.live.Enabled() || e.Implementation != "noop" || e.NoopCalls != 1 {
		t.Errorf("enabled %v, status %+v, want a noop with one call", a.live.Enabled(), e.Status)
	}
	a.RequireStop()
	if got := r.names("on"); len(got) != 0 {
		t.Errorf("%d copies were made of a module that is off", len(got))
	}
}

// A flag, a variant or an override that changes later is told, and changes nothing.
func TestStaticModuleNeverChanges(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		boot, then string
		override   bool
		serves     string
		state      orchestrator.State
		reason     string
	}{
		"on, then off":         {"a", "off", false, "a1", orchestrator.Running, `flag "mail" is a (test); restart required: flag "mail" is off (test), but the module was decided when the app was built`},
		"off, then on":         {"off", "b", false, "noop", orchestrator.Off, `flag "mail" is off (test); restart required: flag "mail" is b (test), but the module was decided when the app was built`},
		"another variant":      {"a", "b", false, "a1", orchestrator.Running, `flag "mail" is a (test); restart required: flag "mail" is b (test), but the module was decided when the app was built`},
		"unknown variant":      {"a", "x", false, "a1", orchestrator.Running, `"x" (test), which the module does not have`},
		"same by another word": {"a", "on", false, "a1", orchestrator.Running, `flag "mail" is a (test)`},
		"unknown at boot":      {"x", "a", false, "noop", orchestrator.Off, "restart required"},
		"override off":         {"a", "off", true, "a1", orchestrator.Running, "restart required: override off by ann"},
		"override on":          {"off", "on", true, "noop", orchestrator.Off, "restart required: override on by ann"},
		"override variant":     {"a", "b", true, "a1", orchestrator.Running, "restart required: override b by ann"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig()
			s := newSelector("mail=" + tt.boot)
			a := startGated(t, s, mailerModule(append(r.variants("a", "b"), orchestrator.Static())...))
			a.requireState(t, tt.state)
			since, before := a.orch.Events().Last(), a.status(t).Reason
			if tt.override {
				if _, err := a.orch.Override("mailer", tt.then, 0, "test", "ann"); err != nil {
					t.Fatal(err)
				}
			} else {
				s.set("mail", tt.then)
			}
			e := a.requireState(t, tt.state)
			if !strings.Contains(e.Reason, tt.reason) || tt.then == "on" && !tt.override && e.Reason != tt.reason {
				t.Errorf("reason %q, want %q", e.Reason, tt.reason)
			}
			if got := a.serves(t); got != tt.serves {
				t.Errorf("%s answers, want %s", got, tt.serves)
			}
			if got := told(a.orch, "mailer", since); got != "" {
				t.Errorf("events %q, want none", got)
			}
			if tt.override {
				if err := a.orch.ClearOverride("mailer", "ann", "over"); err != nil {
					t.Fatal(err)
				}
			} else {
				s.set("mail", tt.boot)
			}
			if e := a.requireState(t, tt.state); tt.boot != "x" && e.Reason != before {
				t.Errorf("reason %q after the change was taken back, want %q", e.Reason, before)
			}
		})
	}
}

// What an operator has left from an earlier run decides at boot, except what has ended, what the kill list forbids, and
// what the module does not know any more.
func TestStaticAndWhatAnEarlierRunLeft(t *testing.T) {
	t.Parallel()
	long, past := time.Now().Add(time.Hour).Format(time.RFC3339), time.Now().Add(-time.Hour).Format(time.RFC3339)
	kill := orchestrator.Decision{Flag: "mail", Variant: "off", Layer: "kill-list", Source: "kill list"}
	for name, tt := range map[string]struct {
		flag  orchestrator.Decision
		to    string
		until string
		want  string
	}{
		"kill switch":              {chosen("mail", "a"), "off", "", "noop"},
		"switch-on":                {chosen("mail", "off"), "on", long, "a1"},
		"variant":                  {chosen("mail", "a"), "b", long, "b1"},
		"ended":                    {chosen("mail", "a"), "off", past, "a1"},
		"forbidden":                {kill, "on", long, "noop"},
		"kill list alone":          {kill, "", "", "noop"},
		"a variant that went away": {chosen("mail", "a"), "gone", "", "a1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if tt.to != "" {
				until := ""
				if tt.until != "" {
					until = fmt.Sprintf(`, "until": %q`, tt.until)
				}
				content := fmt.Sprintf(`[{"module": "mailer", "to": %q, "reason": "test", "actor": "ann", "at": %q%s}]`, tt.to, past, until)
				if err := os.WriteFile(filepath.Join(dir, "overrides.json"), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			r := newRig()
			s := newSelector()
			s.decide(tt.flag)
			a := buildGated(t, s, orchestrator.New(orchestrator.DataDir(dir)), mailerModule(append(r.variants("a", "b"), orchestrator.Static())...))
			a.RequireStart()
			t.Cleanup(func() { a.RequireStop() })
			a.requireServes(t, tt.want)
			if e := a.status(t); strings.Contains(e.Reason, "restart required") {
				t.Errorf("reason %q, but a restart would change nothing", e.Reason)
			}
		})
	}
}

// The whole way: an override that can't take effect now does so after a restart.
func TestStaticOverrideTakesEffectAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, want := range []string{"on1", "noop"} {
		a := buildGated(t, newSelector("mail=on"), orchestrator.New(orchestrator.DataDir(dir)), newRig().statically())
		a.RequireStart()
		a.requireServes(t, want)
		if _, err := a.orch.Override("mailer", "off", 0, "test", "ann"); err != nil {
			t.Fatal(err)
		}
		a.requireServes(t, want)
		a.RequireStop()
	}
}

func TestStaticFailureFailsTheBoot(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		step  string
		fault func(context.Context) error
		want  string
		built bool
	}{
		"constructor errs":   {"make on1", func(context.Context) error { return errBroken }, "broken on purpose", false},
		"constructor panics": {"make on1", func(context.Context) error { panic("broken on purpose") }, "panic", false},
		"hook errs":          {"start on1", func(context.Context) error { return errBroken }, "broken on purpose", true},
		"hook panics":        {"start on1", func(context.Context) error { panic("broken on purpose") }, "panic", true},
		"hook is late":       {"start on1", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, "deadline exceeded", true},
		"fails by itself":    {"start on1", nil, "broken on purpose", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig()
			r.on(tt.step, tt.fault)
			if tt.fault == nil {
				r.on(tt.step, func(context.Context) error { r.made("on1").owner.Fail(errBroken); return nil })
			}
			app := fx.New(fx.NopLogger, fx.StartTimeout(time.Minute), orchestrator.New(), fx.Provide(func() orchestrator.Gate { return newSelector("mail=on") }),
				r.statically(orchestrator.Timeouts{Start: 500 * time.Millisecond}))
			err := app.Err()
			if built := err == nil; built != tt.built {
				t.Fatalf("building the app: %v", err)
			}
			if tt.built {
				err = app.Start(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), `module "mailer"`) {
				t.Errorf("error %v, want module and %q", err, tt.want)
			}
			if got := r.names("on"); len(got) != 1 {
				t.Errorf("%d copies were made, want 1", len(got))
			}
			if started, stopped := r.count("start on1"), r.count("stop on1"); started != stopped {
				t.Errorf("the first hook was started %d times and stopped %d times", started, stopped)
			}
		})
	}
}

// Consumers hold the value for good: when it dies, the app ends, and no second copy is made that nobody could reach.
func TestStaticModuleThatDies(t *testing.T) {
	t.Parallel()
	r := newRig()
	a := buildGated(t, newSelector("mail=on"), orchestrator.New(orchestrator.Retry(time.Millisecond, time.Millisecond)), r.statically())
	a.RequireStart()
	end := a.Wait()
	r.made("on1").owner.Fail(errBroken)
	if signal := <-end; signal.ExitCode != 1 {
		t.Errorf("exit code %d, want 1", signal.ExitCode)
	}
	deadline := time.Now().Add(50 * time.Millisecond) // many retries, if there were any
	for time.Now().Before(deadline) && len(r.names("on")) == 1 {
		a.settle(t)
	}
	if e := a.status(t); len(r.names("on")) != 1 || e.State != orchestrator.Failed {
		t.Errorf("%d copies were made and the state is %s, want 1 and Failed", len(r.names("on")), e.State)
	}
	a.RequireStop()
}

// Whatever keeps a static module from being started, nothing that its constructors have begun goes on.
func TestStaticModuleThatIsNeverStarted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		with  fx.Option
		begin func(*testing.T, *fx.App, *orchestrator.Orchestrator)
	}{
		"the engine is told to stop first": {fx.Options(), func(t *testing.T, app *fx.App, o *orchestrator.Orchestrator) {
			o.BeginStop()
			if err := errors.Join(app.Start(t.Context()), app.Stop(t.Context())); err != nil {
				t.Error(err)
			}
		}},
		"another module is wrong": {member[nameA]("a", &journal{}, orchestrator.Requires("nobody")), nil},
		"the app is wrong":        {fx.Invoke(func(mailer) error { return errBroken }), nil},
		"the app does not start": {fx.Invoke(func(lc fx.Lifecycle) { lc.Append(fx.StartHook(func() error { return errBroken })) }),
			func(t *testing.T, app *fx.App, _ *orchestrator.Orchestrator) {
				if err := app.Start(t.Context()); !errors.Is(err, errBroken) {
					t.Errorf("starting the app: %v", err)
				}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var alive atomic.Int32
			began := make(chan struct{}, 1)
			worker := orchestrator.Options(fx.Invoke(func(owner *orchestrator.Owner) {
				owner.Go("worker", func(ctx context.Context) error {
					alive.Add(1)
					began <- struct{}{}
					<-ctx.Done()
					alive.Add(-1)
					return nil
				})
			}))
			var orch *orchestrator.Orchestrator
			app := fx.New(fx.NopLogger, tt.with, orchestrator.New(), fx.Provide(func() orchestrator.Gate { return newSelector("mail=on") }),
				newRig().statically(worker), fx.Populate(&orch))
			select {
			case <-began:
			case <-time.After(10 * time.Millisecond): // it may be kept back until the start
			}
			if built := app.Err() == nil; built != (tt.begin != nil) {
				t.Fatalf("building the app: %v", app.Err())
			}
			if tt.begin != nil {
				tt.begin(t, app, orch)
			}
			eventually(t, "no goroutine is left", func() bool { return alive.Load() == 0 })
		})
	}
}

// Static modules import what others export, and the other way round.
func TestStaticModulesAndOthers(t *testing.T) {
	t.Parallel()
	s := newSelector("mail=on", "audit=on", "flag-a=on")
	a := startGated(t, s,
		mailerModule(orchestrator.Provide(func(au auditor) mailer { // ordinary, imports a static one
			_, itself := au.(auditFunc)
			return mailerFunc(func(context.Context) error { return fmt.Errorf("%w, itself %v", au.Audit(), itself) })
		})),
		orchestrator.Module("audit", orchestrator.Flag("audit"), orchestrator.Static(),
			orchestrator.Export[auditor](&noAudit{}, newLiveAuditor),
			orchestrator.Provide(func(p pinger[nameA]) auditor { // static, imports an ordinary one
				return auditFunc(func() error { return answer(fmt.Sprint("ping ", p.Ping(nameA{}))) })
			})),
		member[nameA]("a", &journal{}))
	a.settle(t)
	if got, want := a.mail.Send(t.Context()).Error(), "ping <nil>, itself true"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s.set("flag-a", "off")
	a.settle(t)
	if err := a.mail.Send(t.Context()); !strings.Contains(err.Error(), "off (test)") {
		t.Errorf("got %v, want the noop of what the static module imports", err)
	}
}

// Settings of a static module need a restart, until they are back.
func TestStaticReload(t *testing.T) {
	t.Parallel()
	r := newRig()
	a := startGated(t, newSelector("mail=on"), fx.Supply(settings{"a"}), mailerModule(orchestrator.Static(), orchestrator.Provide(r.newConfigured)))
	before := a.requireState(t, orchestrator.Running).Reason
	reload(t, a, settings{"b"})
	if e := a.requireState(t, orchestrator.Running); !strings.Contains(e.Reason, "restart required: its settings changed: orchestrator_test.settings") {
		t.Errorf("reason %q, want that a restart is required", e.Reason)
	}
	if got := a.serves(t); got != "a1" {
		t.Errorf("%s answers, want a1", got)
	}
	reload(t, a, settings{"a"})
	if e := a.requireState(t, orchestrator.Running); e.Reason != before {
		t.Errorf("reason %q after the old settings came back, want %q", e.Reason, before)
	}
}

func TestModesAreValidated(t *testing.T) {
	t.Parallel()
	onUse := orchestrator.Start(orchestrator.OnFirstUse)
	for name, tt := range map[string]struct {
		opts []orchestrator.ModuleOption
		want []string
	}{
		"static on first use":  {[]orchestrator.ModuleOption{orchestrator.Static(), onUse}, []string{"Static() and Start(orchestrator.OnFirstUse) exclude each other"}},
		"static that requires": {[]orchestrator.ModuleOption{orchestrator.Static(), orchestrator.Requires("b")}, []string{`Static() and Requires(["b"]) exclude each other`}},
		"static and damped":    {[]orchestrator.ModuleOption{orchestrator.Static(), orchestrator.Damping{Dwell: 1}}, []string{"Static() and Damping exclude each other"}},
		"static that degrades": {[]orchestrator.ModuleOption{orchestrator.Static(), orchestrator.OnFailure(orchestrator.Degrade)}, []string{"Static()", "OnFailure"}},
		"idle without use":     {[]orchestrator.ModuleOption{orchestrator.IdleTimeout(time.Second)}, []string{"IdleTimeout(1s) needs Start(orchestrator.OnFirstUse)"}},
		"negative idle":        {[]orchestrator.ModuleOption{onUse, orchestrator.IdleTimeout(-1)}, []string{"IdleTimeout(-1ns)"}},
		"unknown start":        {[]orchestrator.ModuleOption{orchestrator.Start(7)}, []string{"Start(7)"}},
		"unknown change":       {[]orchestrator.ModuleOption{orchestrator.OnChange(-1)}, []string{"OnChange(-1)"}},
		"all at once":          {[]orchestrator.ModuleOption{orchestrator.Static(), onUse, orchestrator.Requires("b"), orchestrator.OnChange(9)}, []string{"Requires", "OnFirstUse", "OnChange(9)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig()
			err := fx.New(fx.NopLogger, orchestrator.New(), fx.Provide(func() orchestrator.Gate { return newSelector("mail=on") }),
				mailerModule(append(tt.opts, orchestrator.Provide(r.newMailer))...), member[nameB]("b", &r.journal)).Err()
			if err == nil {
				t.Fatal("the app was built, want an error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
			if got := r.names("on"); len(got) != 0 {
				t.Errorf("%d copies were made of a module with mistakes", len(got))
			}
		})
	}
}

// A module that starts at boot only may be switched off at any time, and not on again; whatever was said at boot.
func TestAtBoot(t *testing.T) {
	t.Parallel()
	for _, boot := range []string{"on", "off"} {
		t.Run(boot+" at boot", func(t *testing.T) {
			t.Parallel()
			r := newRig()
			s := newSelector("mail=" + boot)
			a := startGated(t, s, mailerModule(orchestrator.Start(orchestrator.AtBoot), orchestrator.Provide(r.newMailer)))
			if boot == "on" {
				a.requireServes(t, "on1")
				s.set("mail", "off")
				a.requireServes(t, "noop")
			}
			if e := a.requireState(t, orchestrator.Off); e.Reason != `flag "mail" is off (test)` {
				t.Errorf("reason %q, want the flag", e.Reason)
			}
			for range 2 {
				s.set("mail", "on")
				e := a.requireState(t, orchestrator.Off)
				if want := `flag "mail" is on (test); restart required: the module starts at boot only`; e.Reason != want {
					t.Errorf("reason %q, want %q", e.Reason, want)
				}
				s.set("mail", "off")
				a.requireState(t, orchestrator.Off)
			}
			if got := len(r.names("on")); boot == "off" && got != 0 || got > 1 {
				t.Errorf("%d copies were made", got)
			}
		})
	}
}

// What a flag has asked for in vain at boot is not made up for later.
func TestAtBootWithAnUnknownVariant(t *testing.T) {
	t.Parallel()
	s := newSelector("mail=nonsense")
	a := startVariants(t, s, append(newRig().variants("a", "b"), orchestrator.Start(orchestrator.AtBoot))...)
	a.requireState(t, orchestrator.Off)
	s.set("mail", "a")
	if e := a.requireState(t, orchestrator.Off); !strings.Contains(e.Reason, "restart required: the module starts at boot only") {
		t.Errorf("reason %q, want that a restart is required", e.Reason)
	}
}
