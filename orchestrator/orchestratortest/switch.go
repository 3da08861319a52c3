package orchestratortest

import (
	"context"
	"fmt"
	"slices"

	"github.com/detectviz/switchyard/orchestrator"
)

// Enable turns the flags of modules on, all at once, and waits until the app has settled; see Settle. Modules that share a
// flag with one of them are turned on too.
func (a *App) Enable(modules ...string) {
	a.t.Helper()
	a.turn(flipAll(modules, on))
}

// Disable turns the flags of modules off, all at once, and waits until the app has settled.
func (a *App) Disable(modules ...string) {
	a.t.Helper()
	a.turn(flipAll(modules, off))
}

// Set turns the flag of a module to a variant, "on" or "off", and waits until the app has settled.
func (a *App) Set(module, variant string) {
	a.t.Helper()
	a.turn([]flip{{module, variant}})
}

func (a *App) turn(flips []flip) {
	a.t.Helper()
	if err := a.gate.turn(flips); err != nil {
		a.t.Fatal(err)
	}
	a.Settle()
}

// Settle waits until every decision is carried out: no module is in transition, and none is due for one. A module that has
// failed and waits for its retry counts as settled. While a Hang holds modules, it waits for all others but those that they
// depend on. When Patience is over, the test fails with the modules in transition.
func (a *App) Settle() {
	a.t.Helper()
	if err := a.settle(); err != nil {
		a.t.Fatal(err)
	}
}

func (a *App) settle() error {
	if poll(a.config.patience, func() bool { return a.settled() || a.heldUp() }) {
		return nil
	}
	return fmt.Errorf("not settled within %v: %w", a.config.patience, a.inTransition())
}

// inTransition names the modules in transition at this moment, as an error; nil: the app has settled.
func (a *App) inTransition() error {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	return a.engine.Settled(ended)
}

// settled reports whether the app has settled at this moment.
func (a *App) settled() bool {
	return a.inTransition() == nil
}

// heldUp reports whether all modules have settled, except those that hang on purpose and what these depend on, which may
// have to wait for them.
func (a *App) heldUp() bool {
	quiet := func() bool {
		spared := a.spared()
		return len(spared) > 0 && !slices.ContainsFunc(a.engine.Status(), func(s orchestrator.Status) bool {
			return passing(s.State) && !slices.Contains(spared, s.Name)
		})
	}
	last := a.engine.Events().Last()
	return quiet() && a.passes(3) && quiet() && a.engine.Events().Last() == last
}

// passes makes the engine look at all modules n times, and reports whether it did. The first look may have begun earlier, so
// that at least n-2 whole ones lie between the call and its return.
func (a *App) passes(n int) bool {
	module := a.engine.Status()[0].Name
	for range n {
		before := a.gate.rounds(module)
		a.gate.notify()
		if !poll(a.config.patience, func() bool { return a.gate.rounds(module) > before }) {
			return false
		}
	}
	return true
}

// spared returns the modules that hang on purpose, and all that they depend on.
func (a *App) spared() []string {
	spared := a.faults.hangs()
	for i := 0; i < len(spared); i++ { // it grows
		e, err := a.engine.Explain(spared[i])
		if err != nil {
			continue
		}
		for _, r := range e.Requirements {
			if !slices.Contains(spared, r.Module) {
				spared = append(spared, r.Module)
			}
		}
	}
	return spared
}

// passing reports whether a module in that state is in transition.
func passing(s orchestrator.State) bool {
	return s == orchestrator.Starting || s == orchestrator.Draining || s == orchestrator.Stopping
}

// Inject makes a step of a module's life go wrong, each time that it is reached, until Heal or the end of the test. It takes
// the place of an earlier fault in the same step. It does nothing by itself: turn the module on or off to reach the step.
//
// In a start, a fault is what the module's own error would be: the module is Failed and retried. In Drain and Stop it does not
// keep the module from stopping; the error is in its status.
func (a *App) Inject(module string, step Step, kind FaultKind) {
	a.t.Helper()
	if err := a.inject(fault{module, step, kind}); err != nil {
		a.t.Fatal(err)
	}
}

func (a *App) inject(f fault) error {
	if _, err := a.engine.Explain(f.module); err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	a.faults.arm(f)
	return nil
}

// Heal ends all faults of a module, lets go what hangs in it, and waits until the app has settled. A module that has failed
// comes back with its next retry, for which RequireState waits.
func (a *App) Heal(module string) {
	a.t.Helper()
	a.Status(module)
	a.faults.heal(module)
	a.Settle()
}
