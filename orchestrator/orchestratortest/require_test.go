package orchestratortest_test

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/orchestratortest"
)

func TestRequireNever(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		fn   func(t testing.TB, app *orchestratortest.App)
		want string // empty: the test passes
	}{
		{"before", func(_ testing.TB, app *orchestratortest.App) {
			app.Enable("greeter")
			app.Disable("greeter")
			app.RequireNever("greeter", orchestrator.Running)
		}, "Starting -> Running"},
		{"afterwards", func(_ testing.TB, app *orchestratortest.App) {
			app.RequireNever("greeter", orchestrator.Running)
			app.Enable("greeter")
			app.Disable("greeter")
		}, "Starting -> Running"},
		{"not at all", func(_ testing.TB, app *orchestratortest.App) {
			app.RequireNever("greeter", orchestrator.Failed)
			app.Enable("greeter")
		}, ""},
		{"only because the test ends", func(_ testing.TB, app *orchestratortest.App) {
			app.Enable("greeter")
			app.RequireNever("greeter", orchestrator.Stopping)
		}, ""},
		{"long ago", func(t testing.TB, app *orchestratortest.App) {
			app.RequireNever("greeter", orchestrator.Failed)
			app.Inject("greeter", orchestratortest.Start, orchestratortest.Error(errors.New("no")))
			app.Enable("greeter")
			app.Disable("greeter")
			app.Heal("greeter")
			for range 300 { // five events each: more than the engine keeps
				app.Enable("greeter")
				app.Disable("greeter")
			}
			if _, missed := app.Orchestrator().Events().Since(0); missed == 0 {
				t.Error("the engine still has all events")
			}
		}, "Starting -> Failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := record(t, func(t testing.TB) { tc.fn(t, orchestratortest.New(t, greeterModule(nil))) })
			if tc.want == "" {
				r.requirePass(t)
				return
			}
			r.requireFailure(t, tc.want)
		})
	}
}

// A state that comes by itself is waited for.
func TestRequireStateWaits(t *testing.T) {
	t.Parallel()
	die := make(chan struct{})
	app := orchestratortest.New(t, orchestratortest.Enable("greeter"), orchestratortest.Engine(orchestrator.Retry(1<<40, 1<<40)),
		greeterModule(nil, orchestrator.Provide(func(o *orchestrator.Owner) int {
			o.Go("mortal", func(ctx context.Context) error {
				select {
				case <-die:
					return errors.New("died")
				case <-ctx.Done():
					return nil
				}
			})
			return 0
		}), orchestrator.Health(func(context.Context, int) error { return nil })))
	app.RequireState("greeter", orchestrator.Running)
	close(die)
	app.RequireState("greeter", orchestrator.Failed)
}

func TestRequireStateInVain(t *testing.T) {
	t.Parallel()
	r := record(t, func(t testing.TB) {
		app := orchestratortest.New(t, greeterModule(nil), soon())
		app.Inject("greeter", orchestratortest.Start, orchestratortest.Error(errors.New("disk full")))
		app.Enable("greeter")
		app.RequireState("greeter", orchestrator.Running)
	})
	r.requireFailure(t, "want Running", "disk full", "greeter: Starting -> Failed")
}

func TestSettleInVain(t *testing.T) {
	t.Parallel()
	slow := fx.Invoke(func(lc fx.Lifecycle) {
		lc.Append(fx.StartHook(func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}))
	})
	r := record(t, func(t testing.TB) {
		orchestratortest.New(t, greeterModule(nil, orchestrator.Options(slow)), soon()).Enable("greeter")
	})
	r.requireFailure(t, "not settled within 500ms", "greeter (Starting)")
}
