package orchestratortest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/detectviz/switchyard/orchestrator/internal/hook"
)

// Step is a step of a module's life in which it can be made to go wrong.
type Step string

// The steps, in the order in which a module goes through them.
const (
	Construct Step = Step(hook.Construct) // before the first private constructor
	Start     Step = Step(hook.Start)     // after the last OnStart hook
	Drain     Step = Step(hook.Drain)     // before the exported values are drained
	Stop      Step = Step(hook.Stop)      // before the first OnStop hook
)

func steps() []Step { return []Step{Construct, Start, Drain, Stop} }

// FaultKind is how a step goes wrong: Error, Panic or Hang.
type FaultKind struct {
	what  string
	fail  error
	value any
}

const (
	faultError = "error"
	faultPanic = "panic"
	faultHang  = "hang"
)

// Error makes the step fail with err.
func Error(err error) FaultKind { return FaultKind{what: faultError, fail: err} }

// Panic makes the step panic with v.
func Panic(v any) FaultKind { return FaultKind{what: faultPanic, value: v} }

// Hang makes the step not return until App.Heal or the end of the test. It does not look at any context, so the module's
// timeouts apply. Each run of the step hangs, so a module that is retried meanwhile does not hang twice at once.
func Hang() FaultKind { return FaultKind{what: faultHang} }

// fault is one fault as asked for.
type fault struct {
	module string
	step   Step
	kind   FaultKind
}

func (f fault) check() error {
	if !slices.Contains(steps(), f.step) {
		return fmt.Errorf("fault in module %q: step %q: allowed are %q", f.module, f.step, steps())
	}
	switch {
	case f.kind.what == "":
		return fmt.Errorf("fault in module %q, step %s: the kind is empty: allowed are Error, Panic and Hang", f.module, f.step)
	case f.kind.what == faultError && f.kind.fail == nil:
		return fmt.Errorf("fault in module %q, step %s: Error(nil) is no fault", f.module, f.step)
	}
	return nil
}

// faults are those in force in one app. Safe for concurrent use.
type faults struct {
	mu      sync.Mutex
	active  map[string]map[Step]*armed
	hanging map[string]int // modules, and how many of their steps hang at the moment
	over    bool           // the test has ended
}

// armed is a fault in force.
type armed struct {
	kind   FaultKind
	healed chan struct{}
}

func newFaults(initial []fault) *faults {
	f := &faults{active: map[string]map[Step]*armed{}, hanging: map[string]int{}}
	for _, one := range initial {
		f.arm(one)
	}
	return f
}

// arm puts a fault in force, in the place of an earlier one in the same step.
func (f *faults) arm(one fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return
	}
	of := f.active[one.module]
	if of == nil {
		of = map[Step]*armed{}
		f.active[one.module] = of
	}
	if earlier := of[one.step]; earlier != nil {
		close(earlier.healed)
	}
	of[one.step] = &armed{kind: one.kind, healed: make(chan struct{})}
}

// heal ends the faults of a module, and lets go what hangs.
func (f *faults) heal(module string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.active[module] {
		close(a.healed)
	}
	delete(f.active, module)
}

// end heals all modules for good.
func (f *faults) end() {
	f.mu.Lock()
	f.over = true
	var modules []string
	for m := range f.active {
		modules = append(modules, m)
	}
	f.mu.Unlock()
	for _, m := range modules {
		f.heal(m)
	}
}

// hangs returns the modules that hang at the moment, sorted.
func (f *faults) hangs() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var modules []string
	for m := range f.hanging {
		modules = append(modules, m)
	}
	slices.Sort(modules)
	return modules
}

// run is what the engine calls inside each step.
func (f *faults) run(module string, step hook.Step) error {
	f.mu.Lock()
	a := f.active[module][Step(step)]
	hang := a != nil && a.kind.what == faultHang
	if hang {
		f.hanging[module]++
	}
	f.mu.Unlock()
	switch {
	case a == nil:
		return nil
	case hang:
		<-a.healed
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.hanging[module]--; f.hanging[module] == 0 {
			delete(f.hanging, module)
		}
		return nil
	case a.kind.what == faultPanic:
		panic(a.kind.value) // what the test asked for; the engine contains it like a module's own
	default:
		return a.kind.fail
	}
}
