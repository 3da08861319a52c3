package orchestratortest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/internal/hook"
)

// App is a running app of one test. Its methods fail the test when something is wrong, so they are for the goroutine that
// runs the test, like testing.TB.FailNow.
type App struct {
	t       testing.TB
	config  *config
	gate    *gate
	faults  *faults
	journal *journal
	engine  *orchestrator.Orchestrator
	fx      *fx.App
	label   string // on each goroutine of the app
	never   []never
	stop    sync.Once
}

// New builds an app of the options, starts it, and stops it when the test ends. The options are those of this package, and
// any that fx.New takes: modules, fx.Supply, fx.Populate and so on; but not orchestrator.New nor a Gate, which the kit adds.
// A Gate among them is a duplicate that fx reports.
//
// An app that can't be built or started fails the test; use Boot if that is what is tested. New returns when the modules
// that are on run, or have failed. If one hangs at boot, it returns after three quarters of Patience, while that hangs.
func New(t testing.TB, opts ...fx.Option) *App {
	t.Helper()
	a, err := Boot(t, opts...)
	if err != nil {
		t.Fatalf("the app does not start: %v", err)
	}
	return a
}

// Boot is New for an app that may not start: the error says why. A mistake in the options of this package, such as the name
// of a module that the app doesn't have, still fails the test.
func Boot(t testing.TB, opts ...fx.Option) (*App, error) {
	t.Helper()
	c := newConfig(opts)
	for _, f := range c.faults {
		if err := f.check(); err != nil {
			t.Fatal(err)
		}
	}
	a := &App{t: t, config: c, gate: newGate(c), faults: newFaults(c.faults), label: t.Name() + " " + rand.Text()}
	a.own(func() {
		a.fx = fx.New(
			fx.NopLogger,
			fx.Supply(&hook.Hooks{
				Step:    a.faults.run,
				Replace: c.replace,
			}),
			fx.Provide(func() orchestrator.Gate { return a.gate }),
			orchestrator.New(append([]orchestrator.Option{orchestrator.Retry(5*time.Millisecond, 50*time.Millisecond)}, c.engine...)...),
			fx.Options(c.graph...),
			fx.Populate(&a.engine),
		)
	})
	if err := a.fx.Err(); err != nil {
		a.faults.end()
		a.checkGoroutines()
		return nil, err
	}
	if err := a.mistakes(); err != nil {
		a.faults.end()
		t.Fatal(err)
	}
	a.journal = follow(a.engine.Events())
	ctx, cancel := context.WithTimeout(t.Context(), c.patience)
	defer cancel()
	var err error
	a.own(func() { err = a.fx.Start(ctx) })
	if err != nil {
		a.faults.end()
		a.journal.close()
		a.checkGoroutines()
		return nil, err
	}
	t.Cleanup(a.Stop)
	return a, nil
}

// own runs fn with the app's label on this goroutine, and so on all that fn starts.
func (a *App) own(fn func()) {
	pprof.Do(context.Background(), pprof.Labels(labelKey, a.label), func(context.Context) { fn() })
}

// mistakes returns what is wrong with the options of this package.
func (a *App) mistakes() error {
	errs := []error{a.gate.unknown(a.config)}
	for _, problem := range a.config.problems {
		if text := problem(); text != "" {
			errs = append(errs, errors.New(text))
		}
	}
	return errors.Join(errs...)
}

// Stop stops the app and checks what is to be checked then: it stops in time and without errors, no call into a module is
// left, no goroutine is left, and what RequireNever says has held until now. Faults are healed before. It is called when the
// test ends, and does nothing when called again.
//
// A call that ends only because the drain timeout of the module has passed counts as left.
func (a *App) Stop() {
	a.t.Helper()
	a.stop.Do(func() {
		a.t.Helper()
		a.checkNever()
		a.faults.end()
		before, unclean := a.engine.Events().Last(), a.errorsBefore()
		ctx, cancel := context.WithTimeout(context.Background(), 3*a.config.patience)
		defer cancel()
		var err error
		a.own(func() { err = a.fx.Stop(ctx) })
		if err != nil {
			a.t.Errorf("the app did not stop: %v", err)
		}
		a.checkStop(before, unclean)
		a.journal.close()
		a.checkGoroutines()
		if a.t.Failed() {
			a.t.Logf("what the modules did:\n%s", a.Transcript())
		}
	})
}

// errorsBefore returns the errors of modules that are off: those of a stop that is over.
func (a *App) errorsBefore() map[string]string {
	all := map[string]string{}
	for _, s := range a.engine.Status() {
		if s.State == orchestrator.Off {
			all[s.Name] = s.Error
		}
	}
	return all
}

// checkStop reports modules that did not stop cleanly, and calls that were left.
func (a *App) checkStop(since uint64, errorsBefore map[string]string) {
	a.t.Helper()
	for _, s := range a.engine.Status() {
		if s.Error != "" && s.Error != errorsBefore[s.Name] {
			a.t.Errorf("module %q did not stop cleanly: %s", s.Name, s.Error)
		}
	}
	for _, r := range a.journal.all() {
		if e, ok := r.Event.(orchestrator.CallsCut); ok && r.ID > since {
			a.t.Errorf("module %q: %d calls had not ended when the app stopped: a lease was not released, or a call does not return", e.Module, e.Leases)
		}
	}
}

// Orchestrator returns the engine.
func (a *App) Orchestrator() *orchestrator.Orchestrator { return a.engine }

// Wait returns a channel that gets a value when something asks the app to shut down: a module with OnFailure(Abort) that
// fails, or an fx.Shutdowner. The app goes on until Stop or the end of the test. It listens to the signals of the process, so
// it can't be used in a bubble of testing/synctest.
func (a *App) Wait() <-chan fx.ShutdownSignal { return a.fx.Wait() }

// Status returns the status of a module.
func (a *App) Status(module string) orchestrator.Status {
	a.t.Helper()
	e, err := a.engine.Explain(module)
	if err != nil {
		a.t.Fatal(err)
	}
	return e.Status
}

// Transcript returns what the modules did since the app was built, one line for each change of a state
// ("mailer: Off -> Starting") and for each replacement ("mailer: smtp replaced by api"), in the order of events. Modules that
// don't depend on each other change at the same time, so their lines may come in any order.
func (a *App) Transcript() string {
	var text strings.Builder
	for _, r := range a.journal.all() {
		if line := lineOf(r.Event); line != "" {
			text.WriteString(line + "\n")
		}
	}
	return text.String()
}

func lineOf(event orchestrator.Event) string {
	switch e := event.(type) {
	case orchestrator.StateChanged:
		return fmt.Sprintf("%s: %s -> %s", e.Module, e.From, e.To)
	case orchestrator.Replaced:
		return fmt.Sprintf("%s: %s replaced by %s", e.Module, e.From, e.To)
	default:
		return ""
	}
}
