package orchestratortest_test

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/orchestratortest"
)

func TestFaultsInAStart(t *testing.T) {
	t.Parallel()
	for _, step := range []orchestratortest.Step{orchestratortest.Construct, orchestratortest.Start} {
		for _, tc := range []struct {
			name string
			kind orchestratortest.FaultKind
			want string
		}{
			{"error", orchestratortest.Error(errors.New("disk full")), "disk full"},
			{"panic", orchestratortest.Panic("index out of range"), "index out of range"},
		} {
			t.Run(string(step)+" "+tc.name, func(t *testing.T) {
				t.Parallel()
				var g greeter
				app := orchestratortest.New(t, greeterModule(nil), fx.Populate(&g))
				app.Inject("greeter", step, tc.kind)
				app.Enable("greeter")
				app.RequireState("greeter", orchestrator.Failed)
				if got := app.Status("greeter").Error; !strings.Contains(got, tc.want) {
					t.Errorf("error %q, want %q in it", got, tc.want)
				}
				if _, err := g.Greet(t.Context()); !errors.Is(err, orchestrator.ErrDisabled) {
					t.Errorf("failed: %v, want ErrDisabled", err)
				}
				app.Heal("greeter")
				app.RequireState("greeter", orchestrator.Running)
				hello(t, g, "hello")
			})
		}
		t.Run(string(step)+" hang", func(t *testing.T) {
			t.Parallel()
			var g greeter
			app := orchestratortest.New(t, greeterModule(nil), fx.Populate(&g))
			app.Inject("greeter", step, orchestratortest.Hang())
			app.Enable("greeter")
			app.RequireState("greeter", orchestrator.Starting)
			app.RequireNever("greeter", orchestrator.Running)
			if got := app.Transcript(); got != "greeter: Off -> Starting\n" {
				t.Errorf("transcript %q, want the module to be starting", got)
			}
		})
	}
}

func TestHealLetsAHangGo(t *testing.T) {
	t.Parallel()
	var g greeter
	app := orchestratortest.New(t, greeterModule(nil), fx.Populate(&g))
	app.Inject("greeter", orchestratortest.Start, orchestratortest.Hang())
	app.Enable("greeter")
	app.RequireState("greeter", orchestrator.Starting)
	app.Heal("greeter")
	app.RequireState("greeter", orchestrator.Running)
	hello(t, g, "hello")
}

func TestFaultsInAStop(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		step  orchestratortest.Step
		state orchestrator.State
	}{{orchestratortest.Drain, orchestrator.Draining}, {orchestratortest.Stop, orchestrator.Stopping}} {
		t.Run(string(tc.step)+" error", func(t *testing.T) {
			t.Parallel()
			app := orchestratortest.New(t, greeterModule(nil), orchestratortest.Enable("greeter"))
			app.Inject("greeter", tc.step, orchestratortest.Error(errors.New("disk full")))
			app.Disable("greeter")
			app.RequireState("greeter", orchestrator.Off)
			if got := app.Status("greeter").Error; !strings.Contains(got, "disk full") {
				t.Errorf("error %q, want disk full in it", got)
			}
		})
		t.Run(string(tc.step)+" panic", func(t *testing.T) {
			t.Parallel()
			app := orchestratortest.New(t, greeterModule(nil), orchestratortest.Enable("greeter"))
			app.Inject("greeter", tc.step, orchestratortest.Panic("index out of range"))
			app.Disable("greeter")
			app.RequireState("greeter", orchestrator.Off)
			if got := app.Status("greeter").Error; !strings.Contains(got, "index out of range") {
				t.Errorf("error %q, want index out of range in it", got)
			}
		})
		t.Run(string(tc.step)+" hang", func(t *testing.T) {
			t.Parallel()
			app := orchestratortest.New(t, greeterModule(nil), orchestratortest.Enable("greeter"))
			app.Inject("greeter", tc.step, orchestratortest.Hang())
			app.Disable("greeter")
			app.RequireState("greeter", tc.state)
			app.Heal("greeter")
			app.RequireState("greeter", orchestrator.Off)
			if got := app.Status("greeter").Error; got != "" {
				t.Errorf("error %q after the hang was healed in time", got)
			}
		})
	}
}

// What else is switched while a module hangs is waited for.
func TestSettleBesideAHang(t *testing.T) {
	t.Parallel()
	app := orchestratortest.New(t, parts())
	app.Inject("jobs", orchestratortest.Start, orchestratortest.Hang())
	for range 20 {
		app.Enable("jobs", "store", "api")
		if s := app.Status("api"); s.State != orchestrator.Running {
			t.Fatalf("api is %s: %s", s.State, s.Reason)
		}
		app.Disable("store", "api")
		if s := app.Status("store"); s.State != orchestrator.Off {
			t.Fatalf("store is %s: %s", s.State, s.Reason)
		}
	}
	app.RequireState("jobs", orchestrator.Starting)
}

// Those that wait for a module that hangs have settled too.
func TestSettleBehindAHang(t *testing.T) {
	t.Parallel()
	app := orchestratortest.New(t, parts(), orchestratortest.Enable("store", "api"))
	app.Inject("api", orchestratortest.Stop, orchestratortest.Hang())
	app.Disable("store")
	app.RequireState("api", orchestrator.Stopping)
	app.RequireState("store", orchestrator.Running)
	app.Heal("api")
	app.RequireState("store", orchestrator.Off)
	app.RequireState("api", orchestrator.Waiting)
}

// The end of the test heals: nothing hangs on, nothing is reported.
func TestFaultsEndWithTheTest(t *testing.T) {
	t.Parallel()
	for _, step := range []orchestratortest.Step{orchestratortest.Construct, orchestratortest.Start, orchestratortest.Drain, orchestratortest.Stop} {
		for name, kind := range map[string]orchestratortest.FaultKind{
			"error": orchestratortest.Error(errors.New("no")), "panic": orchestratortest.Panic("no"), "hang": orchestratortest.Hang(),
		} {
			r := record(t, func(t testing.TB) {
				app := orchestratortest.New(t, greeterModule(nil))
				app.Enable("greeter")
				app.Inject("greeter", step, kind)
				app.Disable("greeter")
				app.Enable("greeter")
			})
			if r.Failed() {
				t.Errorf("%s %s: %s", step, name, r.text.String())
			}
		}
	}
}
