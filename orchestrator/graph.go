package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"

	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"
)

// graph is a module's private graph while it exists: a child fx.App with its hooks, goroutines and exported values.
type graph struct {
	life   *lifecycle
	owner  *Owner
	values []any // one for each export
}

// startGraph builds the private graph and runs its OnStart hooks, bounded by ctx. If it fails, all that was started has
// been stopped again, or is named in a *hungError.
func (m *module) startGraph(ctx context.Context, app fx.Shutdowner, fail func(error)) (*graph, error) {
	g := &graph{life: &lifecycle{}, owner: newOwner(fail)}
	discard := func() error {
		fresh, cancel := context.WithTimeout(context.Background(), m.spec.timeouts.Stop)
		defer cancel()
		return g.stop(fresh)
	}
	targets := make([]reflect.Value, len(m.spec.exports))
	populate := make([]any, len(targets))
	for i, e := range m.spec.exports {
		targets[i] = reflect.New(e.typ)
		populate[i] = targets[i].Interface()
	}
	build := func() error {
		return rootCause(fx.New(
			m.graphOptions(g, app),
			fx.Populate(populate...),
			fx.RecoverFromPanics(),
		).Err())
	}
	err := await(ctx, hookGrace, "building the graph", build, func(error) { _ = discard() })
	if err == nil {
		for i, e := range m.spec.exports {
			if v := targets[i].Elem(); isNillable(e.typ) && v.IsNil() {
				err = fmt.Errorf("the private graph provides nil for %v", e.typ)
			}
			g.values = append(g.values, targets[i].Elem().Interface())
		}
	}
	if err == nil {
		err = g.life.start(ctx, m.spec.timeouts.Stop)
	}
	if err != nil {
		if hung := (*hungError)(nil); errors.As(err, &hung) && g.values == nil {
			return nil, err // the builder still runs: it discards what it made when it returns
		}
		return nil, errors.Join(err, discard())
	}
	return g, nil
}

// graphOptions is the private graph without its exports: what validation checks, and what startGraph builds.
func (m *module) graphOptions(g *graph, app fx.Shutdowner) fx.Option {
	opts := []fx.Option{
		fx.WithLogger(func() fxevent.Logger { return fxevent.NopLogger }),
		fx.Decorate(func(fx.Lifecycle) fx.Lifecycle { return g.life }),
		fx.Decorate(func(fx.Shutdowner) fx.Shutdowner { return app }),
		fx.Supply(g.owner),
		fx.Provide(m.spec.constructors...),
		fx.Options(m.spec.options...),
	}
	for _, i := range m.imports {
		if i.missing() {
			continue
		}
		if logger, ok := reflect.TypeAssert[*slog.Logger](i.value); ok {
			i.value = reflect.ValueOf(logger.With("module", m.spec.name))
		}
		opts = append(opts, i.option())
	}
	return fx.Options(opts...)
}

// validateGraph checks, without running any constructor, that the private graph can be built.
func (m *module) validateGraph() error {
	populate := make([]any, len(m.spec.exports))
	for i, e := range m.spec.exports {
		populate[i] = reflect.New(e.typ).Interface()
	}
	g := &graph{life: &lifecycle{}, owner: newOwner(func(error) {})}
	g.owner.cancel()
	if err := fx.ValidateApp(m.graphOptions(g, nil), fx.Populate(populate...)); err != nil {
		return fmt.Errorf("module %q: private graph: %w", m.spec.name, rootCause(err))
	}
	return nil
}

// stop ends the goroutines first, then runs the OnStop hooks: what a goroutine uses is still there until it has ended.
func (g *graph) stop(ctx context.Context) error {
	var errs []error
	if left := g.owner.stop(ctx); len(left) > 0 {
		errs = append(errs, fmt.Errorf("goroutines did not end in time: %s", strings.Join(left, ", ")))
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
