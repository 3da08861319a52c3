package orchestrator

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"time"

	"go.uber.org/fx"
)

// Module declares a module: an interface that the app may call at any time, a noop that answers while the module is off,
// and a private graph that is built when it starts and released when it stops. A module without Provide, Options and
// Variant holds only its noop: when its flag is on, its state is NotLinked.
//
// The result is an ordinary option of the app's graph; modules are registered flat, in any order, beside New. Mistakes in
// the declaration are reported by fx.New, all in one error.
func Module(name string, opts ...ModuleOption) fx.Option {
	s := &spec{name: name, timeouts: defaultTimeouts()}
	for _, o := range opts {
		if o == nil {
			s.invalid("nil among the options")
			continue
		}
		o.applyModule(s)
	}
	s.complete()
	return s.parentOptions()
}

// ModuleOption is an option of Module. Only this package implements it.
type ModuleOption interface{ applyModule(*spec) }

// moduleOption is an option of the module as a whole: it can't stand inside Variant.
type moduleOption struct {
	name  string
	apply func(*spec)
}

func (o moduleOption) applyModule(s *spec) {
	if s.within != nil {
		s.invalid("Variant(%q, %s(...)): allowed in a variant are Provide, Options, Import and Health; move %s out of it", s.within.name, o.name, o.name)
		return
	}
	o.apply(s)
}

// variantOption is an option that may also stand inside Variant.
type variantOption func(*implementation)

func (f variantOption) applyModule(s *spec) {
	if s.within != nil {
		f(s.within)
		return
	}
	f(&s.base)
}

// Flag names the flag that switches the module. It is required.
func Flag(name string) ModuleOption {
	return moduleOption{"Flag", func(s *spec) { s.flag = name }}
}

// Export declares an interface that the module serves. The private graph must provide T; the app's graph gets T, made by
// proxy, and *Live[T]. While the module does not run, both lead to noop. If noop embeds Noop, it is told which module it
// stands for.
func Export[T any](noop T, proxy func(*Live[T]) T) ModuleOption {
	return moduleOption{"Export", func(s *spec) {
		typ := reflect.TypeFor[T]()
		if v := reflect.ValueOf(&noop).Elem(); isNillable(typ) && v.IsNil() {
			s.invalid("export %v: the noop is nil; pass a value that answers while the module is off", typ)
			return
		}
		if proxy == nil {
			s.invalid("export %v: the proxy is nil; pass the function that makes %v from *orchestrator.Live[%v]", typ, typ, typ)
			return
		}
		if slices.ContainsFunc(s.exports, func(earlier export) bool { return earlier.typ == typ }) {
			s.invalid("export %v is declared twice: export a type once, or give the second one a type of its own", typ)
			return
		}
		e := export{typ: typ, liveType: reflect.TypeFor[*Live[T]](), noopValue: any(noop), newLive: func() slot { return newLive(noop) }}
		e.provide = func() (*Live[T], T) {
			l := newLive(noop)
			return l, proxy(l)
		}
		e.noop, _ = any(noop).(boundNoop)
		s.exports = append(s.exports, e)
	}}
}

// Import declares a value of the app's graph that the private graph needs. Needs of plain constructors and of fx.In
// structs are inferred; Import is for those that can't be, such as parameters of annotated constructors and of functions
// in Options.
func Import[T any]() ModuleOption {
	return variantOption(func(i *implementation) { i.declared = append(i.declared, key{typ: reflect.TypeFor[T]()}) })
}

// Provide adds constructors to the private graph. They run each time that the module starts. What they need and don't
// provide themselves is imported from the app's graph.
func Provide(constructors ...any) ModuleOption {
	return variantOption(func(i *implementation) { i.constructors = append(i.constructors, constructors...) })
}

// Options adds any fx options to the private graph.
func Options(opts ...fx.Option) ModuleOption {
	return variantOption(func(i *implementation) { i.options = append(i.options, opts...) })
}

// Requires names modules without which this one can't run. While one of them does not run, this one is Waiting and its noop
// serves; it stops before they do.
func Requires(modules ...string) ModuleOption {
	return moduleOption{"Requires", func(s *spec) { s.requires = append(s.requires, modules...) }}
}

// Uses names modules that this one works better with, but also without. At boot it starts after them, and when the app
// stops it stops before them. Importing another module's export is such an edge by itself.
func Uses(modules ...string) ModuleOption {
	return moduleOption{"Uses", func(s *spec) { s.uses = append(s.uses, modules...) }}
}

// FailurePolicy says what the app does when a module can't run although it should.
type FailurePolicy int

// The failure policies.
const (
	// Degrade is the default: the noop serves, the start is retried, the rest of the app goes on.
	Degrade FailurePolicy = iota
	// Abort ends the app: a failure at boot fails the start of the app, a later one shuts it down with exit code 1.
	Abort
)

// OnFailure sets the failure policy.
func OnFailure(policy FailurePolicy) ModuleOption {
	return moduleOption{"OnFailure", func(s *spec) {
		if policy != Degrade && policy != Abort {
			s.invalid("OnFailure(%d): allowed are orchestrator.Degrade and orchestrator.Abort", policy)
		}
		s.onFailure, s.onFailureSet = policy, true
	}}
}

// Timeouts bounds the steps of a module's life. A zero field keeps its default.
type Timeouts struct {
	Start time.Duration // building the graph and all OnStart hooks; default 30 s
	Drain time.Duration // waiting for calls in flight before the module stops; default 10 s
	Stop  time.Duration // background goroutines and all OnStop hooks; default 10 s
}

func (t Timeouts) applyModule(s *spec) { moduleOption{"Timeouts", t.set}.applyModule(s) }

func (t Timeouts) set(s *spec) {
	for _, f := range []struct {
		name string
		from time.Duration
		to   *time.Duration
	}{{"Start", t.Start, &s.timeouts.Start}, {"Drain", t.Drain, &s.timeouts.Drain}, {"Stop", t.Stop, &s.timeouts.Stop}} {
		switch {
		case f.from < 0:
			s.invalid("Timeouts.%s: %v is negative", f.name, f.from)
		case f.from > 0:
			*f.to = f.from
		}
	}
}

func defaultTimeouts() Timeouts {
	return Timeouts{Start: 30 * time.Second, Drain: 10 * time.Second, Stop: 10 * time.Second}
}

// spec is a module as declared. It is not changed after Module returned.
type spec struct {
	name, flag      string
	exports         []export
	base            implementation    // what stands outside of Variant
	variants        []*implementation // as declared
	within          *implementation   // while the options of a Variant are applied
	implementations []*implementation // complete; none: only the noop is linked
	requires        []string
	uses            []string
	timeouts        Timeouts
	onFailure       FailurePolicy
	onFailureSet    bool
	onChange        ChangePolicy
	start           StartMode
	idleTimeout     time.Duration
	static          bool
	damping         Damping
	errs            []error
}

type export struct {
	typ, liveType reflect.Type
	provide       any // func() (*Live[T], T)
	newLive       func() slot
	noopValue     any
	noop          boundNoop
}

func (s *spec) declaration() FlagDeclaration {
	return FlagDeclaration{Name: s.flag, Module: s.name, Variants: s.variantNames()}
}

func (s *spec) linked() bool { return len(s.implementations) > 0 }

func (s *spec) invalid(format string, args ...any) {
	s.errs = append(s.errs, fmt.Errorf("module %q: "+format, append([]any{s.name}, args...)...))
}

// identifier is what module and flag names look like: they appear in URLs, metrics and environment variables.
var identifier = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*([-._/][A-Za-z0-9]+)*$`)

// validate returns all that is wrong with the declaration itself, joined.
func (s *spec) validate() error {
	errs := s.errs
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("module %q: "+format, append([]any{s.name}, args...)...))
	}
	if !identifier.MatchString(s.name) {
		wrong("bad name: allowed are letters, digits and single '-', '.', '_' or '/' between them, starting with a letter")
	}
	switch {
	case s.flag == "":
		wrong("no flag: add orchestrator.Flag(\"name\")")
	case !identifier.MatchString(s.flag):
		wrong("bad flag name %q: allowed are letters, digits and single '-', '.', '_' or '/' between them, starting with a letter", s.flag)
	}
	if len(s.exports) == 0 && len(s.errs) == 0 {
		wrong("no export: add orchestrator.Export[T](noop, proxy), so that the app can reach the module")
	}
	for _, e := range s.exports {
		if slices.ContainsFunc(s.implementations, func(i *implementation) bool { return slices.Contains(i.declared, key{typ: e.typ}) }) {
			wrong("Import[%v](): the module exports it, and can't depend on itself: provide it in the private graph", e.typ)
		}
	}
	errs = append(errs, s.validateModes(), s.validateVariants())
	return errors.Join(errs...)
}
