package orchestratortest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/orchestratortest"
)

func TestLeftGoroutineIsFound(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	defer close(block)
	r := record(t, func(t testing.TB) {
		orchestratortest.New(t, goroutineModule(block), orchestratortest.Enable("greeter"), soon())
	})
	r.requireFailure(t, "goroutines of the app are left", "leaksHere", "app_test.go:", "what the modules did:")
	r = record(t, func(t testing.TB) {
		orchestratortest.New(t, goroutineModule(block), orchestratortest.Enable("greeter"),
			orchestratortest.AllowGoroutine("github.com/detectviz/switchyard/orchestrator/orchestratortest_test.leaksHere"))
	})
	r.requirePass(t)
}

// Whatever the app's own code starts is the app's, constructors of its graph included, also if it fails to start.
func TestLeftGoroutineOfTheAppsGraph(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	t.Cleanup(func() { close(block) }) // after the parallel subtests
	constructor := fx.Invoke(func() { go leaksHere(block) })
	for name, opts := range map[string][]fx.Option{
		"running":     {constructor},
		"not built":   {constructor, fx.Invoke(func() error { return errors.New("no") })},
		"not started": {constructor, fx.Invoke(func(lc fx.Lifecycle) { lc.Append(fx.StartHook(func() error { return errors.New("no") })) })},
		"stop": {fx.Invoke(func(lc fx.Lifecycle) {
			lc.Append(fx.StopHook(func() { go leaksHere(block) }))
		})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := record(t, func(t testing.TB) { _, _ = orchestratortest.Boot(t, append(opts, greeterModule(nil), soon())...) })
			r.requireFailure(t, "goroutines of the app are left", "leaksHere")
		})
	}
}

func TestHeldLeaseIsFound(t *testing.T) {
	t.Parallel()
	r := record(t, func(t testing.TB) {
		var live *orchestrator.Live[greeter]
		orchestratortest.New(t, greeterModule(nil, orchestrator.Timeouts{Drain: 50 * time.Millisecond}),
			orchestratortest.Enable("greeter"), fx.Populate(&live))
		lease := live.Acquire()
		_ = lease.Value
	})
	r.requireFailure(t, `module "greeter": 1 calls had not ended`)
}

func TestReleasedLeaseIsFine(t *testing.T) {
	t.Parallel()
	var live *orchestrator.Live[greeter]
	app := orchestratortest.New(t, greeterModule(nil), orchestratortest.Enable("greeter"), fx.Populate(&live))
	lease := live.Acquire()
	lease.Release()
	app.Stop()
	app.Stop() // nothing more happens
}

func TestUncleanStopIsFound(t *testing.T) {
	t.Parallel()
	fail := func(context.Context) error { return errors.New("journal not flushed") }
	hook := fx.Invoke(func(lc fx.Lifecycle) { lc.Append(fx.StopHook(fail)) })
	r := record(t, func(t testing.TB) {
		orchestratortest.New(t, greeterModule(nil, orchestrator.Options(hook)), orchestratortest.Enable("greeter"))
	})
	r.requireFailure(t, `module "greeter" did not stop cleanly`, "journal not flushed")
	r = record(t, func(t testing.TB) { orchestratortest.New(t, hook) })
	r.requireFailure(t, "the app did not stop", "journal not flushed")
	r = record(t, func(t testing.TB) { // the test has seen the error of a stop that was its own doing
		app := orchestratortest.New(t, greeterModule(nil, orchestrator.Options(hook)), orchestratortest.Enable("greeter"))
		app.Disable("greeter")
	})
	r.requirePass(t)
}
