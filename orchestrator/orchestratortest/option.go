package orchestratortest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

// option is an option of this package: it is told to New, not to the app's graph. Among the options of New it is taken out
// of the list; anywhere deeper, such as inside fx.Options, the embedded option makes building the app fail with what to do.
type option struct {
	fx.Option
	set func(*config)
}

func newOption(name string, set func(*config)) fx.Option {
	return option{
		Option: fx.Error(fmt.Errorf("%s is not among the options of orchestratortest.New itself: move it out of fx.Options or fx.Module", name)),
		set:    set,
	}
}

// config is what the options of one New say.
type config struct {
	flips    []flip // in the order of the options
	noops    []string
	faults   []fault
	replace  map[reflect.Type]any
	allowed  []string // functions whose goroutines may be left
	patience time.Duration
	engine   []orchestrator.Option
	graph    []fx.Option     // for the app's graph
	problems []func() string // looked at when the app is built; empty: none
}

// flip asks for a flag to be turned.
type flip struct{ module, to string }

func newConfig(opts []fx.Option) *config {
	c := &config{replace: map[reflect.Type]any{}, patience: 10 * time.Second}
	for _, o := range opts {
		if own, ok := o.(option); ok {
			own.set(c)
			continue
		}
		c.graph = append(c.graph, o)
	}
	return c
}

// Enable turns the flags of modules on before the app starts. A module with variants runs the one called "on", or its first.
func Enable(modules ...string) fx.Option {
	return newOption("Enable", func(c *config) { c.flips = append(c.flips, flipAll(modules, on)...) })
}

// Disable turns the flags of modules off before the app starts. They are off anyway, unless an earlier option turned them on.
func Disable(modules ...string) fx.Option {
	return newOption("Disable", func(c *config) { c.flips = append(c.flips, flipAll(modules, off)...) })
}

// Set turns the flag of a module to a variant, "on" or "off" before the app starts.
func Set(module, variant string) fx.Option {
	return newOption("Set", func(c *config) { c.flips = append(c.flips, flip{module, variant}) })
}

// Flags turns the flags of modules on or off before the app starts: what Matrix hands out.
func Flags(enabled map[string]bool) fx.Option {
	return newOption("Flags", func(c *config) {
		for _, m := range slices.Sorted(maps.Keys(enabled)) {
			c.flips = append(c.flips, flip{m, onOrOff(enabled[m])})
		}
	})
}

// Noop keeps modules off, whatever their flags and operators say: none of their private constructors runs, although the app
// links them. Later, App.Enable and App.Set refuse them. A module that shares its flag with another one can be kept off
// only together with that.
func Noop(modules ...string) fx.Option {
	return newOption("Noop", func(c *config) { c.noops = append(c.noops, modules...) })
}

// Replace makes v serve for the export T, in the place of what the module that exports it would make, whenever that module
// runs; its flag still decides whether it does. If all exports of a module are replaced, none of its private constructors
// runs. The module must be one with constructors: one that holds only its noop stays NotLinked.
//
// v is given to every run of the module, so it must bear being used again after a stop.
func Replace[T any](v T) fx.Option {
	return newOption("Replace", func(c *config) {
		typ := reflect.TypeFor[T]()
		if any(v) == nil {
			c.problems = append(c.problems, func() string { return fmt.Sprintf("Replace[%v](nil): a module never serves nil", typ) })
			return
		}
		c.replace[typ] = v
		var exported struct {
			fx.In

			Live *orchestrator.Live[T] `optional:"true"`
		}
		c.graph = append(c.graph, fx.Populate(&exported))
		c.problems = append(c.problems, func() string {
			if exported.Live == nil {
				return fmt.Sprintf("Replace[%v]: no module exports that type", typ)
			}
			return ""
		})
	})
}

// Fault makes a step of a module's life go wrong from the start of the app on, until App.Heal. See App.Inject.
func Fault(module string, step Step, kind FaultKind) fx.Option {
	return newOption("Fault", func(c *config) { c.faults = append(c.faults, fault{module, step, kind}) })
}

// Patience sets how long the kit waits for anything: for the app to start and to settle, for a state that RequireState asks
// for, for the goroutines to end. Stopping the app may take three times as long. The default is 10 s.
func Patience(d time.Duration) fx.Option {
	return newOption("Patience", func(c *config) { c.patience = d })
}

// Engine hands options to orchestrator.New, for example a DataDir. The kit itself has failed modules retried after 5 ms, and
// after 50 ms at the latest.
func Engine(opts ...orchestrator.Option) fx.Option {
	return newOption("Engine", func(c *config) { c.engine = append(c.engine, opts...) })
}

// AllowGoroutine lets goroutines be left when the app has stopped, if one of the functions is on their stack. A function is
// named as in a stack trace, for example "go.opencensus.io/stats/view.(*worker).start". It is for libraries that start a
// goroutine once for the whole process.
//
// The goroutines of an app are those that it started while it was built, started and stopped, and all that they started in
// turn, told apart by a profiler label that goroutines inherit. So goroutines of other tests don't count, nor does one that
// the test itself starts, directly or by a call into a module.
func AllowGoroutine(functions ...string) fx.Option {
	return newOption("AllowGoroutine", func(c *config) { c.allowed = append(c.allowed, functions...) })
}

func flipAll(modules []string, to string) []flip {
	var flips []flip
	for _, m := range modules {
		flips = append(flips, flip{m, to})
	}
	return flips
}
