package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"github.com/detectviz/switchyard/orchestrator/internal/hook"
)

// graph is a module's private graph while it exists: a child fx.App with its hooks, goroutines and exported values.
type graph struct {
	implementation *implementation
	settings       uint64 // the module's settings that it was made of
	imports        []imported
	life           *lifecycle
	owner          *Owner
	values         []any // one for each export
	probes         []*probe
	broken         atomic.Pointer[error]
}

// fail records why the graph can't serve any longer. Only the first reason counts.
func (g *graph) fail(err error) { g.broken.CompareAndSwap(nil, &err) }

// failure is why the graph can't serve any longer, or nil.
func (g *graph) failure() error {
	if err := g.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// blueprint is what a private graph is made from.
type blueprint struct {
	module         string
	implementation *implementation
	exports        []export
	imports        []imported
	settings       uint64
	timeouts       Timeouts
	app            fx.Shutdowner
	failed         func() // called when the graph can't serve any longer
	hooks          hook.Hooks
}

func (b *blueprint) newGraph() *graph {
	g := &graph{implementation: b.implementation, settings: b.settings, imports: b.imports, life: &lifecycle{}}
	g.owner = newOwner(func(err error) {
		g.fail(err)
		b.failed()
	})
	return g
}

// run builds the private graph, runs its OnStart hooks and waits until it is healthy, all bounded by ctx. If that fails, all
// that was started has been stopped again, or is named in a *hungError.
func (b *blueprint) run(ctx context.Context) (*graph, error) {
	g := b.newGraph()
	if err := b.build(ctx, g); err != nil {
		return nil, err
	}
	if err := b.start(ctx, g); err != nil {
		return nil, err
	}
	return g, nil
}

// build runs the constructors. If it fails, nothing is left of the graph.
func (b *blueprint) build(ctx context.Context, g *graph) error {
	targets := make([]reflect.Value, 0, len(b.exports)+len(b.implementation.health))
	populate := make([]any, 0, cap(targets))
	want := func(t reflect.Type) {
		v := reflect.New(t)
		targets, populate = append(targets, v), append(populate, v.Interface())
	}
	options := fx.Options(b.options(g))
	if replaced := b.replacements(); replaced != nil {
		g.values, options = replaced, fx.NopLogger
	} else {
		for _, e := range b.exports {
			want(e.typ)
		}
		for _, h := range b.implementation.health {
			want(h.typ)
		}
	}
	constructors := func() error {
		if b.hooks.Step != nil {
			if err := b.hooks.Step(b.module, hook.Construct); err != nil {
				return err
			}
		}
		return rootCause(fx.New(options, fx.Populate(populate...), fx.RecoverFromPanics()).Err())
	}
	// A builder that hangs discards what it made when it returns.
	err := await(ctx, hookGrace, "building the graph", constructors, func(error) { _ = b.discard(g) })
	if hung := (*hungError)(nil); errors.As(err, &hung) {
		return err
	}
	if err == nil {
		err = b.collect(g, targets)
	}
	if err != nil {
		return errors.Join(err, b.discard(g))
	}
	return nil
}

// collect takes the exported values and what the health checks want out of the graph.
func (b *blueprint) collect(g *graph, targets []reflect.Value) error {
	for _, target := range targets {
		v := target.Elem()
		if isNillable(v.Type()) && v.IsNil() {
			return fmt.Errorf("the private graph provides nil for %v", v.Type())
		}
		if len(g.values) < len(b.exports) {
			value := v.Interface()
			if replaced, ok := b.hooks.Replace[v.Type()]; ok {
				value = replaced
			}
			g.values = append(g.values, value)
			continue
		}
		g.probes = append(g.probes, &probe{healthCheck: b.implementation.health[len(g.probes)], module: v.Interface()})
	}
	return nil
}

// start runs the hooks and the first health checks, then the periodic ones. If it fails, nothing is left of the graph.
func (b *blueprint) start(ctx context.Context, g *graph) error {
	if b.hooks.Step != nil {
		g.life.injected = func(step hook.Step) error { return b.hooks.Step(b.module, step) }
	}
	g.owner.release()
	err := g.life.start(ctx, b.timeouts.Stop)
	for _, p := range g.probes {
		if err == nil {
			err = p.first(ctx)
		}
	}
	if err == nil {
		err = g.failure()
	}
	if err != nil {
		return errors.Join(err, b.discard(g))
	}
	for _, p := range g.probes {
		g.owner.Go("health check", p.watch)
	}
	return nil
}

// discard stops what was started of a graph that failed, with a context of its own: the one of the start may have ended.
func (b *blueprint) discard(g *graph) error {
	fresh, cancel := context.WithTimeout(context.Background(), b.timeouts.Stop)
	defer cancel()
	return g.stop(fresh)
}

// replacements are the values that a test puts in the place of the module's own, or nil.
func (b *blueprint) replacements() []any {
	var values []any
	for _, e := range b.exports {
		v, ok := b.hooks.Replace[e.typ]
		if !ok {
			return nil
		}
		values = append(values, v)
	}
	return values
}

// options is the private graph without its exports: what validation checks, and what build makes.
func (b *blueprint) options(g *graph) fx.Option {
	opts := []fx.Option{
		fx.WithLogger(func() fxevent.Logger { return fxevent.NopLogger }),
		fx.Decorate(func(fx.Lifecycle) fx.Lifecycle { return g.life }),
		fx.Decorate(func(fx.Shutdowner) fx.Shutdowner { return b.app }),
		fx.Supply(g.owner, Self{Module: b.module, Variant: b.implementation.name}),
		fx.Provide(b.implementation.constructors...),
		fx.Options(b.implementation.options...),
	}
	for _, i := range b.received() {
		if logger, ok := reflect.TypeAssert[*slog.Logger](i.value); ok {
			i.value = reflect.ValueOf(logger.With("module", b.module))
		}
		opts = append(opts, i.option())
	}
	return fx.Options(opts...)
}

// received is the imports that the private graph gets: those of the implementation that the app has.
func (b *blueprint) received() []imported {
	var list []imported
	for _, i := range b.imports {
		known := slices.ContainsFunc(b.implementation.imports, func(k key) bool { return k.identity() == i.key.identity() })
		if known && !i.missing {
			list = append(list, i)
		}
	}
	return list
}

// validate checks, without running any constructor, that the private graph can be built.
func (b *blueprint) validate() error {
	var errs []error
	for _, h := range b.implementation.health {
		if h.problem != nil {
			errs = append(errs, fmt.Errorf("module %q: %w", b.module, h.problem))
		}
	}
	if b.sound() {
		return errors.Join(errs...)
	}
	var populate []any
	for _, e := range b.exports {
		if _, replaced := b.hooks.Replace[e.typ]; replaced {
			continue
		}
		populate = append(populate, reflect.New(e.typ).Interface())
	}
	for _, h := range b.implementation.health {
		populate = append(populate, reflect.New(h.typ).Interface())
	}
	g := b.newGraph()
	g.owner.cancel()
	if err := fx.ValidateApp(b.options(g), fx.Populate(populate...)); err != nil {
		what := "private graph"
		if b.implementation.name != variantOn {
			what += fmt.Sprintf(" of variant %q", b.implementation.name)
		}
		errs = append(errs, fmt.Errorf("module %q: %s: %w", b.module, what, rootCause(err)))
	}
	return errors.Join(errs...)
}

// stop ends the goroutines first, then runs the OnStop hooks: what a goroutine uses is still there until it has ended.
func (g *graph) stop(ctx context.Context) error {
	var errs []error
	if err := g.owner.stop(ctx); err != nil {
		errs = append(errs, err)
	} else { // which watches the probes: they are nobody's now
		for _, p := range g.probes {
			if p.hangs() {
				errs = append(errs, p.hung)
			}
		}
	}
	if ctx.Err() != nil { // the goroutines took all the time; hooks still run, with a moment of their own
		fresh, cancel := context.WithTimeout(context.WithoutCancel(ctx), hookGrace)
		defer cancel()
		ctx = fresh
	}
	return errors.Join(append(errs, g.life.stop(ctx))...)
}

// rootCause takes the frames off that the container adds around a constructor's error, so that an operator reads the cause
// and not the way to it.
func rootCause(err error) error {
	for {
		t := reflect.TypeOf(err)
		if t == nil {
			return nil
		}
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		inner := errors.Unwrap(err)
		if inner == nil || !strings.HasPrefix(t.PkgPath(), "go.uber.org/") {
			return err
		}
		err = inner
	}
}
