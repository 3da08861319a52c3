package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.uber.org/fx"
)

// loop is the reconciler: it compares what the gate wants with what runs, starts the transitions that close the gap, and
// sleeps until something may have changed. It is level-triggered: it acts on the latest decisions only, however often and
// in whatever order they changed. It ends when the app stops and no module runs any more.
func (o *Orchestrator) loop() {
	defer close(o.loopDone)
	defer o.transitions.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wakeAt, done := o.pass(time.Now())
		if done {
			return
		}
		var wake <-chan time.Time
		if !wakeAt.IsZero() {
			timer.Reset(time.Until(wakeAt))
			wake = timer.C
		}
		select {
		case <-o.kick:
		case <-wake:
		}
	}
}

// pass reconciles every module once. It never blocks: transitions run on goroutines of their own, at most one for each
// module. It returns when the next pass is due by itself, and whether the engine has finished.
func (o *Orchestrator) pass(now time.Time) (wakeAt time.Time, done bool) {
	o.mu.Lock()
	asked := o.asked
	o.mu.Unlock()
	// The gate is asked without mu held: it may notify under a lock of its own, which leads to poke.
	decisions := make([]Decision, len(o.modules))
	for i, m := range o.modules {
		decisions[i] = o.gate.Decide(m.spec.flag)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.passed = asked
	defer o.broadcast()
	done = o.stopping
	for i, m := range o.modules { // requirements first
		m.decision = o.overridden(m, decisions[i], now)
		m.wanted, m.why = o.decide(m)
		if v := m.override; v != nil && !v.Until.IsZero() {
			wakeAt = earlier(wakeAt, v.Until)
		}
	}
	for _, m := range o.modules {
		lacks := m.lacks()
		switch {
		case m.busy:
			if m.cancelStart != nil && (!m.wanted || lacks != nil) {
				m.cancelStart()
			}
		case m.state == Running && m.failure != nil:
			o.beginStop(m, m.failure.Error())
		case m.state == Running && m.wanted && lacks == nil:
			m.reason = m.why
		case m.state == Running:
			reason := m.why
			if m.wanted {
				reason = m.waitsFor(lacks)
			}
			if first := m.holdsUp(); len(first) > 0 {
				m.reason = fmt.Sprintf("%s; it stops after %s", reason, strings.Join(first, ", "))
			} else {
				o.beginStop(m, reason)
			}
		case !m.wanted && !o.stopping && m.decision.Enabled && m.spec.linked() && lacks != nil:
			o.enter(m, Waiting, m.why)
		case !m.wanted && !o.stopping && m.decision.Enabled && !m.spec.linked():
			o.enter(m, NotLinked, m.why)
		case !m.wanted:
			if m.state == Failed {
				m.lastError, m.failures = nil, 0
			}
			o.enter(m, Off, m.why)
		case lacks != nil:
			o.enter(m, Waiting, m.waitsFor(lacks))
		case m.state == Failed && now.Before(m.retryAt):
			wakeAt = earlier(wakeAt, m.retryAt)
		case m.hangs():
			m.retryAt = now.Add(o.settings.retryMax)
			o.enter(m, Failed, fmt.Sprintf("not started again, because an earlier run has not ended: %v", m.hung))
		case m.comesAfter() != nil:
			o.enter(m, Waiting, fmt.Sprintf("%s; it starts after %s", m.why, m.comesAfter().spec.name))
		default:
			o.beginStart(m, m.why)
		}
		if m.active() {
			done = false
		}
	}
	return wakeAt, done
}

// earlier returns the earlier of two times; the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// decide says whether the module should run, and why. What it requires has been decided before.
func (o *Orchestrator) decide(m *module) (wanted bool, why string) {
	d := m.decision
	switch {
	case o.stopping:
		return false, "the app is stopping"
	case d.Enabled && d.Variant != "on" && d.Variant != "":
		return false, fmt.Sprintf("flag %q asks for the variant %q, which the module does not have (allowed: on, off)", m.spec.flag, d.Variant)
	case !d.Enabled:
		return false, m.says("off")
	}
	why = m.says("on")
	if !m.spec.linked() {
		return false, why + ", but this binary holds only the noop of the module"
	}
	for _, r := range m.requires {
		if !r.wanted {
			return false, fmt.Sprintf("%s, but it requires %q: %s", why, r.spec.name, r.why)
		}
	}
	return true, why
}

// says is what decided that the module is to be on or off, in words.
func (m *module) says(what string) string {
	if m.decision.Layer == layerOverride {
		return m.decision.Source
	}
	return fmt.Sprintf("flag %q is %s (%s)", m.spec.flag, what, m.decision.Source)
}

// waitsFor says which requirement keeps a wanted module from running.
func (m *module) waitsFor(r *module) string {
	return fmt.Sprintf("%s, but it requires %q, which is %s", m.why, r.spec.name, r.state)
}

// enter records that the module is in a state. The caller holds mu.
func (o *Orchestrator) enter(m *module, to State, reason string) {
	from := m.state
	m.state, m.reason = to, reason
	if from == to {
		return
	}
	m.since = time.Now()
	m.history = append(m.history, Transition{At: m.since, From: from, To: to, Reason: reason})
	if extra := len(m.history) - historyLength; extra > 0 {
		m.history = append([]Transition{}, m.history[extra:]...)
	}
	switch to {
	case Failed:
		o.log.Error("module failed; its noop serves", "module", m.spec.name, "error", m.lastError, "retry", time.Until(m.retryAt).Round(time.Millisecond))
	case NotLinked:
		o.log.Warn("module is not linked", "module", m.spec.name, "reason", reason)
	default:
		o.log.Info("module "+string(to), "module", m.spec.name, "from", string(from), "reason", reason)
	}
	o.broadcast()
}

// transition runs fn, which must not hold mu, as the module's only transition; finish is called with mu held.
func (o *Orchestrator) transition(m *module, fn func(), finish func()) {
	m.busy = true
	o.transitions.Go(func() {
		fn()
		o.mu.Lock()
		finish()
		m.busy = false
		o.broadcast()
		o.mu.Unlock()
		o.poke()
	})
}

func (o *Orchestrator) beginStart(m *module, reason string) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), m.spec.timeouts.Start,
		fmt.Errorf("not started within %v", m.spec.timeouts.Start))
	ctx, giveUp := context.WithCancelCause(ctx)
	m.cancelStart = func() { giveUp(errNoLongerWanted) }
	m.failure = nil
	o.enter(m, Starting, reason)

	var g *graph
	var err error
	o.transition(m, func() {
		defer cancel()
		g, err = m.startGraph(ctx, o.shutdowner, func(cause error) { o.fail(m, cause) })
	}, func() {
		m.cancelStart = nil
		if hung := (*hungError)(nil); errors.As(err, &hung) {
			m.hung = hung
			o.pokeWhen(hung.returned)
		}
		switch {
		case err == nil:
			m.graph = g
			m.generation++
			m.runningFrom = time.Now()
			for i, s := range m.slots {
				s.publish(g.values[i])
			}
			o.enter(m, Running, reason)
		case errors.Is(context.Cause(ctx), errNoLongerWanted):
			o.enter(m, Off, "the start was given up: no longer wanted")
		default:
			o.failed(m, err)
		}
	})
}

var errNoLongerWanted = errors.New("no longer wanted")

// beginStop puts the noop back, waits for the calls in flight, and stops the private graph. Afterwards the module is Off,
// or Failed if a failure was the cause: then modules that require it have not stopped before, and do so meanwhile.
func (o *Orchestrator) beginStop(m *module, reason string) {
	g, failure := m.graph, m.failure
	m.graph, m.failure = nil, nil
	if time.Since(m.runningFrom) > o.settings.retryMax {
		m.failures = 0
	}
	m.draining = nil
	for _, s := range m.slots {
		if r := s.retract(); r != nil {
			m.draining = append(m.draining, r)
		}
	}
	old := m.draining
	o.enter(m, Draining, reason)

	var err error
	o.transition(m, func() {
		o.drain(m, g, old)
		o.mu.Lock()
		o.enter(m, Stopping, reason)
		o.mu.Unlock()
		ctx, cancel := context.WithTimeoutCause(context.Background(), m.spec.timeouts.Stop,
			fmt.Errorf("not stopped within %v", m.spec.timeouts.Stop))
		defer cancel()
		err = g.stop(ctx)
	}, func() {
		m.draining = nil
		if hung := (*hungError)(nil); errors.As(err, &hung) {
			m.hung = hung
			o.pokeWhen(hung.returned)
		}
		if err != nil {
			o.log.Error("module did not stop cleanly", "module", m.spec.name, "error", err)
		}
		if failure != nil {
			o.failed(m, failure)
			return
		}
		m.lastError = err
		o.enter(m, Off, reason)
	})
}

// drain waits until no call is left on the retired values, at most for the drain timeout; then it cancels the contexts of
// those that are left, gives them a moment, and goes on.
func (o *Orchestrator) drain(m *module, g *graph, old []retired) {
	ctx, cancel := context.WithTimeout(context.Background(), m.spec.timeouts.Drain)
	defer cancel()
	o.awaitDependants(ctx, m)
	for i, v := range g.values {
		d, ok := v.(Drainer)
		if !ok || slices.ContainsFunc(g.values[:i], func(earlier any) bool { return same(earlier, v) }) {
			continue
		}
		if err := await(ctx, hookGrace, "Drain", func() error { return d.Drain(ctx) }, nil); err != nil {
			o.log.Warn("module did not drain cleanly", "module", m.spec.name, "error", err)
		}
	}
	for _, r := range old {
		if r.drain(ctx) == nil {
			continue
		}
		r.cut(&DisabledError{Module: m.spec.name, Flag: m.spec.flag, Reason: "the call did not end within the drain timeout of the module"})
		last, cancel := context.WithTimeout(context.Background(), cutGrace)
		if r.drain(last) != nil {
			o.log.Warn("module stops although calls are in flight", "module", m.spec.name, "leases", r.leases())
		}
		cancel()
	}
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
func (o *Orchestrator) failed(m *module, err error) {
	backoff := min(o.settings.retryMin<<min(m.failures, 16), o.settings.retryMax)
	backoff += time.Duration(rand.Int64N(int64(backoff)/10 + 1)) // #nosec G404 -- jitter
	m.failures++
	m.lastError = err
	m.retryAt = time.Now().Add(backoff)
	o.enter(m, Failed, err.Error())
	if m.spec.onFailure == Abort && o.booted && !o.stopping {
		if err := o.shutdowner.Shutdown(fx.ExitCode(1)); err != nil {
			o.log.Error("the app can't be shut down", "module", m.spec.name, "error", err)
		}
	}
}

// fail is how a module reports that it can't serve any longer.
func (o *Orchestrator) fail(m *module, err error) {
	o.mu.Lock()
	if m.failure == nil {
		m.failure = err
	}
	o.mu.Unlock()
	o.poke()
}

// pokeWhen asks for a pass when something that hung has returned. Its goroutine ends with what hangs.
func (o *Orchestrator) pokeWhen(returned <-chan struct{}) {
	go func() {
		<-returned
		o.poke()
	}()
}
