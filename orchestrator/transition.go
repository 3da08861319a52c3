package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator/internal/hook"
)

// transition runs fn as the module's only transition, without mu held. Then finish is called with mu held; what it returns is
// run without, and finish is called again, until it returns nil.
func (o *Orchestrator) transition(m *module, fn func(), finish func() (more func())) {
	m.busy = true
	o.transitions.Go(func() {
		fn()
		o.mu.Lock()
		for more := finish(); more != nil; more = finish() {
			o.mu.Unlock()
			more()
			o.mu.Lock()
		}
		m.busy = false
		o.asked++ // before anybody sees that the transition has ended
		o.broadcast()
		o.mu.Unlock()
		o.wake()
	})
}

// blueprint is what the module is to be made of now. The caller holds mu.
func (o *Orchestrator) blueprint(m *module, i *implementation) *blueprint {
	return o.boot.blueprint(m, i)
}

// context is what the steps of the module's life get. A call with it to the module itself is answered by the noop, instead of
// waiting for the step that makes it.
func (m *module) context() context.Context {
	return context.WithValue(context.Background(), stepOf{}, m)
}

type stepOf struct{}

// startContext bounds a start.
func (m *module) startContext() (ctx context.Context, giveUp context.CancelCauseFunc, end context.CancelFunc) {
	ctx, end = context.WithTimeoutCause(m.context(), m.spec.timeouts.Start, fmt.Errorf("not started within %v", m.spec.timeouts.Start))
	ctx, giveUp = context.WithCancelCause(ctx)
	return ctx, giveUp, end
}

func (o *Orchestrator) beginStart(m *module, reason string) {
	ctx, giveUp, end := m.startContext()
	m.cancelStart = func() { giveUp(errNoLongerWanted) }
	target := m.attempt()
	m.starting, m.halfway = target, false
	plan, prebuilt := o.blueprint(m, m.implementation), m.prebuilt
	m.prebuilt = nil
	m.started(time.Now())
	o.enter(m, Starting, reason)

	g := prebuilt
	var err error
	o.transition(m, func() {
		if prebuilt != nil {
			err = plan.start(ctx, prebuilt)
			return
		}
		g, err = plan.run(ctx)
	}, func() (more func()) {
		unwanted := errors.Is(context.Cause(ctx), errNoLongerWanted)
		switch {
		case err == nil && unwanted: // it came up all the same
			return func() { err = errors.Join(errNoLongerWanted, plan.discard(g)) }
		case err == nil:
			o.publish(m, g)
			m.used = true // by whoever it was started for; only its IdleTimeout ends that
			o.enter(m, Running, reason)
		case unwanted:
			if !m.wanted { // what it has failed at before does not matter any more
				m.forgive()
			}
			o.enter(m, Off, "the start was given up: no longer wanted")
		default:
			o.failed(m, target, err)
			o.enter(m, Failed, err.Error())
			o.abort(m)
		}
		o.quarantine(m, err)
		m.cancelStart, m.starting = nil, attempt{}
		end()
		return nil
	})
}

var errNoLongerWanted = errors.New("no longer wanted")

// publish makes a graph the one that serves, and returns what served until now. The caller holds mu.
func (o *Orchestrator) publish(m *module, g *graph) (old []retired) {
	m.graph = g
	m.generation++
	m.runningFrom = time.Now()
	m.usedAt, m.callsSeen = m.runningFrom, 0
	m.lastError, m.failedAttempt = nil, attempt{}
	if m.spec.static {
		return nil
	}
	for i, s := range m.slots {
		if r := s.publish(g.values[i]); r != nil {
			old = append(old, r)
		}
	}
	return old
}

// beginStop puts the noop back, waits for the calls in flight, and stops the private graph. Afterwards the module is Off,
// or Failed if a failure was the cause: then modules that require it have not stopped before, and do so meanwhile.
func (o *Orchestrator) beginStop(m *module, reason string, failure error) {
	m.cancelBeside()
	g, idle := m.graph, m.wanted && !m.needed && failure == nil
	built := attempt{g.implementation, g.settings}
	if time.Since(m.runningFrom) > o.settings.retryMax {
		m.failures = 0
	}
	if failure != nil {
		m.lastError = failure // the noop, which is told to callers from now on, is that of a failed module
	}
	old := m.retract()
	m.draining = append(m.draining, old...)
	m.used = m.used && !idle
	o.enter(m, Draining, reason)
	m.graph, m.ending = nil, g.implementation

	var err error
	o.transition(m, func() {
		ctx, cancel := context.WithTimeout(m.context(), m.spec.timeouts.Drain)
		defer cancel()
		o.awaitDependants(ctx, m)
		err = o.drain(ctx, m, g, old)
		o.mu.Lock()
		o.enter(m, Stopping, reason)
		o.mu.Unlock()
		err = errors.Join(err, o.stopGraph(m, g))
	}, func() (more func()) {
		m.draining = slices.DeleteFunc(m.draining, func(r retired) bool { return slices.Contains(old, r) })
		if !m.halfway {
			m.switchedAt = time.Now()
		}
		o.quarantine(m, err)
		switch {
		case failure != nil:
			o.failed(m, built, failure)
			o.enter(m, Failed, failure.Error())
			o.abort(m)
		case idle && err == nil:
			o.enter(m, Idle, reason)
		default:
			m.lastError = err
			o.enter(m, Off, reason)
		}
		m.ending = nil
		return nil
	})
}

// stopGraph stops a graph, bounded by the stop timeout.
func (o *Orchestrator) stopGraph(m *module, g *graph) error {
	ctx, cancel := context.WithTimeoutCause(m.context(), m.spec.timeouts.Stop,
		fmt.Errorf("not stopped within %v", m.spec.timeouts.Stop))
	defer cancel()
	err := g.stop(ctx)
	if err != nil {
		o.log.Error("module did not stop cleanly", "module", m.spec.name, "error", err)
		o.events.add(StopFailed{Module: m.spec.name, Variant: g.implementation.name, Error: err.Error()})
	}
	return err
}

// drain tells the values that they are to be stopped, and waits until no call is left on them, until ctx ends; then it
// cancels the contexts of those that are left, gives them a moment, and goes on. The error names a Drain that hangs.
func (o *Orchestrator) drain(ctx context.Context, m *module, g *graph, old []retired) error {
	errs := []error{g.life.inject(ctx, "Drain", hook.Drain)}
	for i, v := range g.values {
		d, ok := v.(Drainer)
		if !ok || slices.ContainsFunc(g.values[:i], func(earlier any) bool { return same(earlier, v) }) {
			continue
		}
		errs = append(errs, await(ctx, hookGrace, "Drain", func() error { return d.Drain(ctx) }, nil))
	}
	err := errors.Join(errs...)
	if err != nil {
		o.log.Warn("module did not drain cleanly", "module", m.spec.name, "error", err)
		o.events.add(StopFailed{Module: m.spec.name, Variant: g.implementation.name, Error: err.Error()})
	}
	for _, r := range old {
		if r.drain(ctx) == nil {
			continue
		}
		r.cut(&DisabledError{Module: m.spec.name, Flag: m.spec.flag, Reason: "the call did not end within the drain timeout of the module"})
		last, cancel := context.WithTimeout(context.Background(), cutGrace)
		cutOff := CallsCut{Module: m.spec.name, Leases: r.leases()}
		if r.drain(last) != nil {
			cutOff.Left = r.leases()
			o.log.Warn("module stops although calls are in flight", "module", m.spec.name, "leases", cutOff.Left)
		}
		cancel()
		o.events.add(cutOff)
	}
	return err
}

// awaitDependants waits until the modules that require m have stopped, or ctx ends.
func (o *Orchestrator) awaitDependants(ctx context.Context, m *module) {
	for {
		o.mu.Lock()
		left, changed := m.holdsUp(), o.changed
		o.mu.Unlock()
		if len(left) == 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			o.log.Warn("module stops although others that depend on it have not", "module", m.spec.name, "dependants", left)
			return
		}
	}
}

// same reports whether two exports are one value, which is drained once.
func same(a, b any) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}

// cutGrace is how long calls may take to notice that their context was cancelled at the end of the drain timeout.
const cutGrace = time.Second

// failed records a failure and when to try again. The caller holds mu.
func (o *Orchestrator) failed(m *module, what attempt, err error) {
	backoff := min(o.settings.retryMin<<min(m.failures, 16), o.settings.retryMax)
	backoff += time.Duration(rand.Int64N(int64(backoff)/10 + 1)) // #nosec G404 -- jitter
	m.failures++
	m.lastError = err
	m.failedAttempt = what
	m.retryAt = time.Now().Add(backoff)
}

// abort ends the app when a module has failed without which it must not run. The caller holds mu.
func (o *Orchestrator) abort(m *module) {
	if m.spec.onFailure != Abort || !o.booted || o.stopping || o.applying.touches(m) {
		return // a change that fails is undone
	}
	if err := o.boot.shutdowner.Shutdown(fx.ExitCode(1)); err != nil {
		o.log.Error("the app can't be shut down", "module", m.spec.name, "error", err)
	}
}

// quarantine keeps what did not return in time: the module is not started again before it does. The caller holds mu.
func (o *Orchestrator) quarantine(m *module, err error) {
	for _, h := range hung(err) {
		m.hung = append(m.hung, h)
		o.events.add(StepHung{Module: m.spec.name, Step: h.what, Error: h.Error()})
		go func() { // ends with what hangs
			<-h.returned
			o.poke()
		}()
	}
}
