package orchestratortest

import (
	"slices"
	"strings"

	"github.com/detectviz/switchyard/orchestrator"
)

// RequireState fails the test unless the module gets to the state, and the app has settled, within Patience. It gives up
// early only if nothing but a flag can change the module's state any more. While a module is in transition, as Starting or
// Draining, it can be asked for such a state too.
func (a *App) RequireState(module string, want orchestrator.State) {
	a.t.Helper()
	var s orchestrator.Status
	hopeless := false
	reached := poll(a.config.patience, func() bool {
		settled := a.settled() // before the look at the state: afterwards, the state would be that of an earlier moment
		s = a.Status(module)
		if s.State == want {
			return settled || passing(want) || a.heldUp() && a.Status(module).State == want
		}
		hopeless = settled && (s.State == orchestrator.Off || s.State == orchestrator.NotLinked)
		return hopeless
	})
	if !reached || hopeless {
		a.t.Fatalf("module %q is %s, want %s\nreason: %s\nerror: %q\nwhat the modules did:\n%s", module, s.State, want, s.Reason, s.Error, a.Transcript())
	}
}

// never is a state that a module must not get into.
type never struct {
	module string
	state  orchestrator.State
}

// RequireNever fails the test if the module was in the state at any time since the app was built, or gets there before the
// test ends. What happens because the test ends doesn't count.
func (a *App) RequireNever(module string, state orchestrator.State) {
	a.t.Helper()
	a.Status(module)
	n := never{module, state}
	if at := a.broken(n); at != "" {
		a.t.Fatalf("module %q must never be %s, but: %s", module, state, at)
	}
	a.never = append(a.never, n)
}

// checkNever is RequireNever at the end of the test.
func (a *App) checkNever() {
	a.t.Helper()
	for _, n := range a.never {
		if at := a.broken(n); at != "" {
			a.t.Errorf("module %q must never be %s, but: %s", n.module, n.state, at)
		}
	}
}

// broken returns how the module got into the state, or nothing if it did not.
func (a *App) broken(n never) string {
	records, missed := a.journal.complete()
	for _, r := range records {
		if e, ok := r.Event.(orchestrator.StateChanged); ok && e.Module == n.module && e.To == n.state {
			return lineOf(e) + " (" + e.Reason + ")"
		}
	}
	if missed > 0 {
		return "there were too many events at once to tell"
	}
	return ""
}

// RequireOrder fails the test unless the lines are in Transcript, each after the one before it. Others may be in between:
//
//	app.RequireOrder("store: Starting -> Running", "mailer: Off -> Starting")
func (a *App) RequireOrder(lines ...string) {
	a.t.Helper()
	rest := strings.Split(a.Transcript(), "\n")
	for _, want := range lines {
		at := slices.Index(rest, want)
		if at < 0 {
			a.t.Fatalf("%q is missing after what comes before it in %q\nwhat the modules did:\n%s", want, lines, a.Transcript())
		}
		rest = rest[at+1:]
	}
}
