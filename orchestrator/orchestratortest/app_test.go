package orchestratortest_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/orchestratortest"
)

func TestFlags(t *testing.T) {
	t.Parallel()
	var g greeter
	app := orchestratortest.New(t, greeterModule(nil), fx.Populate(&g))
	app.RequireState("greeter", orchestrator.Off)
	if _, err := g.Greet(t.Context()); !errors.Is(err, orchestrator.ErrDisabled) {
		t.Errorf("off: %v, want ErrDisabled", err)
	}

	app.Enable("greeter")
	app.RequireState("greeter", orchestrator.Running)
	hello(t, g, "hello")

	app.Disable("greeter")
	app.RequireState("greeter", orchestrator.Off)

	const want = "greeter: Off -> Starting\ngreeter: Starting -> Running\n" +
		"greeter: Running -> Draining\ngreeter: Draining -> Stopping\ngreeter: Stopping -> Off\n"
	if got := app.Transcript(); got != want {
		t.Errorf("transcript:\n%swant:\n%s", got, want)
	}
	app.RequireOrder("greeter: Starting -> Running", "greeter: Stopping -> Off")
}

func TestFlagsFromTheStart(t *testing.T) {
	t.Parallel()
	app := orchestratortest.New(t, parts(), greeterModule(nil),
		orchestratortest.Flags(map[string]bool{"store": true, "jobs": true}),
		orchestratortest.Enable("greeter"),
		orchestratortest.Disable("greeter"))
	app.RequireState("store", orchestrator.Running)
	app.RequireState("jobs", orchestrator.Running)
	app.RequireState("greeter", orchestrator.Off)
	app.RequireState("api", orchestrator.Off)
}

func TestVariants(t *testing.T) {
	t.Parallel()
	var g greeter
	variant := func(name string) orchestrator.ModuleOption {
		return orchestrator.Variant(name, orchestrator.Provide(func() greeter { return word(name) }))
	}
	app := orchestratortest.New(t, fx.Populate(&g), orchestratortest.Set("greeter", "loud"),
		orchestrator.Module("greeter", orchestrator.Flag("greeting"), orchestrator.Export[greeter](&noGreeter{}, newLiveGreeter),
			variant("quiet"), variant("loud")))
	hello(t, g, "loud")
	app.Set("greeter", "quiet")
	hello(t, g, "quiet")
	app.Set("greeter", "off")
	app.RequireState("greeter", orchestrator.Off)
	app.Enable("greeter")
	hello(t, g, "quiet")
	app.RequireOrder("greeter: loud replaced by quiet")
}

func TestMistakesFailTheTest(t *testing.T) {
	t.Parallel()
	ignore := func(testing.TB, *orchestratortest.App) {}
	for _, tc := range []struct {
		name string
		opts []fx.Option
		then func(t testing.TB, app *orchestratortest.App)
		want []string
	}{
		{"unknown module", []fx.Option{orchestratortest.Enable("greter")}, ignore, []string{`"greter"`, `"greeter"`}},
		{"unknown noop", []fx.Option{orchestratortest.Noop("greter")}, ignore, []string{`"greter"`, `"greeter"`}},
		{"unknown faulty module", []fx.Option{orchestratortest.Fault("greter", orchestratortest.Start, orchestratortest.Hang())}, ignore, []string{`"greter"`, `"greeter"`}},
		{"unknown variant", []fx.Option{orchestratortest.Set("greeter", "loud")}, ignore, []string{`"loud"`, "on, off"}},
		{"unknown step", []fx.Option{orchestratortest.Fault("greeter", "pause", orchestratortest.Hang())}, ignore, []string{`"pause"`, `"drain"`}},
		{"no fault", []fx.Option{orchestratortest.Fault("greeter", orchestratortest.Start, orchestratortest.Error(nil))}, ignore, []string{"Error(nil)"}},
		{"empty fault", []fx.Option{orchestratortest.Fault("greeter", orchestratortest.Start, orchestratortest.FaultKind{})}, ignore, []string{"kind is empty"}},
		{"replacement of nothing", []fx.Option{orchestratortest.Replace[part](apiPart{})}, ignore, []string{"orchestratortest_test.part", "no module exports"}},
		{"replacement by nil", []fx.Option{orchestratortest.Replace[greeter](nil)}, ignore, []string{"never serves nil"}},
		{"option too deep", []fx.Option{fx.Options(orchestratortest.Enable("greeter"))}, ignore, []string{"Enable", "move it out"}},
		{"module enabled that is not there", nil, func(_ testing.TB, app *orchestratortest.App) { app.Enable("greeter", "mailer") }, []string{`"mailer"`, `"greeter"`}},
		{"state of a module that is not there", nil, func(_ testing.TB, app *orchestratortest.App) { app.RequireState("mailer", orchestrator.Off) }, []string{`"mailer"`}},
		{"never of a module that is not there", nil, func(_ testing.TB, app *orchestratortest.App) { app.RequireNever("mailer", orchestrator.Off) }, []string{`"mailer"`}},
		{"heal of a module that is not there", nil, func(_ testing.TB, app *orchestratortest.App) { app.Heal("mailer") }, []string{`"mailer"`}},
		{"fault in a module that is not there", nil, func(_ testing.TB, app *orchestratortest.App) {
			app.Inject("mailer", orchestratortest.Start, orchestratortest.Hang())
		}, []string{`"mailer"`}},
		{"wrong state", nil, func(_ testing.TB, app *orchestratortest.App) { app.RequireState("greeter", orchestrator.Running) }, []string{`"greeter" is Off, want Running`}},
		{"wrong order", []fx.Option{orchestratortest.Enable("greeter")}, func(_ testing.TB, app *orchestratortest.App) {
			app.RequireOrder("greeter: Starting -> Running", "greeter: Off -> Starting")
		}, []string{`"greeter: Off -> Starting" is missing`}},
		{"app that does not start", []fx.Option{fx.Invoke(func() error { return errors.New("no disk") })}, ignore, []string{"does not start", "no disk"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := record(t, func(t testing.TB) {
				tc.then(t, orchestratortest.New(t, append(tc.opts, greeterModule(nil))...))
			})
			r.requireFailure(t, tc.want...)
		})
	}
}

func TestAllFlagsOrNone(t *testing.T) {
	t.Parallel()
	r := record(t, func(t testing.TB) {
		app := orchestratortest.New(t, parts())
		defer func() {
			if got := app.Transcript(); got != "" {
				t.Errorf("modules have moved:\n%s", got)
			}
		}()
		app.Enable("store", "nothing")
	})
	r.requireFailure(t, `"nothing"`)
	if strings.Contains(r.text.String(), "modules have moved") {
		t.Error(r.text.String())
	}
}

func TestNoop(t *testing.T) {
	t.Parallel()
	var made atomic.Int64
	var g greeter
	app := orchestratortest.New(t, greeterModule(&made), orchestratortest.Enable("greeter"), orchestratortest.Noop("greeter"), fx.Populate(&g))
	app.RequireState("greeter", orchestrator.Off)
	if _, err := app.Orchestrator().Override("greeter", "on", 0, "test", "test"); err != nil {
		t.Fatal(err)
	}
	app.Settle()
	app.RequireState("greeter", orchestrator.Off)
	if _, err := g.Greet(t.Context()); !errors.Is(err, orchestrator.ErrDisabled) {
		t.Errorf("%v, want ErrDisabled", err)
	}
	app.Disable("greeter")
	if n := made.Load(); n != 0 {
		t.Errorf("the constructor ran %d times", n)
	}
}

func TestNoopRefusesToBeEnabled(t *testing.T) {
	t.Parallel()
	var made atomic.Int64
	r := record(t, func(t testing.TB) {
		orchestratortest.New(t, greeterModule(&made), orchestratortest.Noop("greeter")).Enable("greeter")
	})
	r.requireFailure(t, "kept off by Noop")
	if n := made.Load(); n != 0 {
		t.Errorf("the constructor ran %d times", n)
	}
}

func TestNoopOfASharedFlag(t *testing.T) {
	t.Parallel()
	twins := fx.Options(plain("store", storePart{}, orchestrator.Flag("twins")), plain("api", apiPart{}, orchestrator.Flag("twins")))
	r := record(t, func(t testing.TB) { orchestratortest.New(t, twins, orchestratortest.Noop("store")) })
	r.requireFailure(t, `module "api" has the same flag`)
	r = record(t, func(t testing.TB) { orchestratortest.New(t, twins, orchestratortest.Noop("store", "api")) })
	r.requirePass(t)
}

func TestReplace(t *testing.T) {
	t.Parallel()
	var made atomic.Int64
	var g greeter
	app := orchestratortest.New(t, greeterModule(&made), orchestratortest.Replace[greeter](word("fake")), fx.Populate(&g))
	if _, err := g.Greet(t.Context()); !errors.Is(err, orchestrator.ErrDisabled) {
		t.Errorf("off: %v, want ErrDisabled", err)
	}
	for range 2 {
		app.Enable("greeter")
		app.RequireState("greeter", orchestrator.Running)
		hello(t, g, "fake")
		app.Disable("greeter")
	}
	if n := made.Load(); n != 0 {
		t.Errorf("the constructor ran %d times", n)
	}
}

func TestStaticModules(t *testing.T) {
	t.Parallel()
	static := func(made *atomic.Int64) fx.Option { return greeterModule(made, orchestrator.Static()) }
	var g greeter
	orchestratortest.New(t, static(nil), orchestratortest.Enable("greeter"), fx.Populate(&g))
	hello(t, g, "hello")

	var made atomic.Int64
	orchestratortest.New(t, static(&made), orchestratortest.Enable("greeter"), orchestratortest.Noop("greeter"), fx.Populate(&g))
	if _, err := g.Greet(t.Context()); !errors.Is(err, orchestrator.ErrDisabled) || made.Load() != 0 {
		t.Errorf("Noop: %v after %d constructions, want ErrDisabled after none", err, made.Load())
	}

	orchestratortest.New(t, static(&made), orchestratortest.Enable("greeter"), orchestratortest.Replace[greeter](word("fake")), fx.Populate(&g))
	hello(t, g, "fake")
	if made.Load() != 0 {
		t.Errorf("Replace: %d constructions", made.Load())
	}
}

func TestBoot(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	app, err := orchestratortest.Boot(t, greeterModule(nil, orchestrator.OnFailure(orchestrator.Abort)), orchestratortest.Enable("greeter"),
		orchestratortest.Fault("greeter", orchestratortest.Start, orchestratortest.Error(broken)))
	if app != nil || !errors.Is(err, broken) {
		t.Errorf("Boot: %v, %v; want no app and %v", app, err, broken)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	app := orchestratortest.New(t, greeterModule(nil, orchestrator.OnFailure(orchestrator.Abort)))
	down := app.Wait()
	app.Inject("greeter", orchestratortest.Construct, orchestratortest.Panic("no"))
	app.Enable("greeter")
	if s := <-down; s.ExitCode != 1 {
		t.Errorf("exit code %d, want 1", s.ExitCode)
	}
}

func TestVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g greeter
		app := orchestratortest.New(t, fx.Populate(&g), orchestratortest.Enable("greeter"),
			greeterModule(nil, orchestrator.Start(orchestrator.OnFirstUse), orchestrator.IdleTimeout(time.Hour)))
		app.RequireState("greeter", orchestrator.Idle)
		hello(t, g, "hello")
		app.RequireState("greeter", orchestrator.Running)
		time.Sleep(2 * time.Hour)
		app.RequireState("greeter", orchestrator.Idle)
	})
}

func TestOverlappingApps(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	first := orchestratortest.New(t, goroutineModule(block), orchestratortest.Enable("greeter"))
	r := record(t, func(t testing.TB) { orchestratortest.New(t, parts()) })
	r.requirePass(t) // the goroutine of the first app is not its own
	close(block)
	first.Disable("greeter")
}

// goroutineModule starts a goroutine that nobody owns; it ends when block is closed.
func goroutineModule(block <-chan struct{}) fx.Option {
	return greeterModule(nil, orchestrator.Options(fx.Invoke(func(lc fx.Lifecycle) {
		lc.Append(fx.StartHook(func(context.Context) { go leaksHere(block) }))
	})))
}

func leaksHere(block <-chan struct{}) { <-block }
