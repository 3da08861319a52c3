package orchestrator

import (
	"context"
	"errors"
	"slices"
	"time"
)

// attempt is what a copy of a module is made of. Attempts can be compared.
type attempt struct {
	implementation *implementation
	settings       uint64
}

// none reports whether it is no attempt.
func (a attempt) none() bool { return a == attempt{} }

// replacement is a copy of a running module that exists beside the one that serves: the new one until it serves, and the
// old one from then on until it has stopped. A module has one at most.
type replacement struct {
	target attempt // zero: the old copy is being stopped
	cancel func()
}

// ends says what must happen before there is no other copy.
func (r *replacement) ends() string {
	if r.target.none() {
		return "the copy that it replaced has stopped"
	}
	return "a replacement that is no longer wanted has been given up"
}

// cancelBeside gives up a replacement that does not serve yet.
func (m *module) cancelBeside() {
	if m.beside != nil && !m.beside.target.none() {
		m.beside.cancel()
	}
}

// stale reports whether the copy that serves is not what is wanted.
func (m *module) stale() bool {
	return m.attempt() != attempt{m.graph.implementation, m.graph.settings}
}

// mayReplace reports whether nothing keeps the running copy from being replaced now.
func (m *module) mayReplace(now time.Time) bool {
	held, _ := m.held(m.decision, now)
	failed := m.failedAttempt == m.attempt() && now.Before(m.retryAt)
	return m.beside == nil && !failed && !m.hangs() && held.IsZero()
}

// attempt is what is wanted.
func (m *module) attempt() attempt { return m.attemptOf(m.implementation) }

func (m *module) attemptOf(i *implementation) attempt { return attempt{i, m.settings[i]} }

// beginReplace starts a copy of a running module as it is wanted now, leads calls to it, and drains and stops the old one.
// The module is Running all the time, and may be switched off at any moment. If the new copy doesn't start, the old one goes
// on serving, and the replacement is tried again with backoff.
func (o *Orchestrator) beginReplace(m *module, reason string) {
	ctx, giveUp, end := m.startContext()
	target, old := m.attempt(), m.graph
	plan := o.blueprint(m, m.implementation)
	began := time.Now()
	m.beside = &replacement{target: target, cancel: func() { giveUp(errNoLongerWanted) }}
	m.started(began)
	from, to := old.implementation.name, target.implementation.name
	o.events.add(ReplacementStarted{Module: m.spec.name, From: from, To: to, Reason: reason, Current: m.generation})
	o.log.Info("module is being replaced", "module", m.spec.name, "from", from, "to", to, "reason", reason)

	o.transitions.Go(func() {
		defer end()
		fresh, err := plan.run(ctx)
		o.mu.Lock()
		o.quarantine(m, err)
		unwanted := errors.Is(context.Cause(ctx), errNoLongerWanted) || m.graph != old
		var leases []retired
		failed := err
		if err == nil && !unwanted {
			failed = fresh.failure()
		}
		switch {
		case failed == nil && !unwanted:
			leases = o.publish(m, fresh)
			m.draining = append(m.draining, leases...)
			m.beside.target = attempt{}
			m.reason = reason
			o.events.add(Replaced{Module: m.spec.name, From: from, To: to, Reason: reason, Generation: m.generation, Took: time.Since(began)})
			o.log.Info("module was replaced", "module", m.spec.name, "from", from, "to", to, "generation", m.generation)
		case unwanted:
			old = fresh // nil if it was given up in time
			o.events.add(ReplacementGivenUp{Module: m.spec.name, To: to, Took: time.Since(began)})
		default:
			old = fresh // nil if it did not start
			o.failed(m, target, failed)
			o.events.add(ReplacementFailed{Module: m.spec.name, To: to, Error: failed.Error(), RetryAt: m.retryAt, Took: time.Since(began)})
			o.log.Error("module could not be replaced; the old copy goes on serving", "module", m.spec.name, "to", to, "error", failed)
		}
		o.broadcast()
		o.mu.Unlock()
		if old != nil {
			o.poke()
			drainCtx, cancel := context.WithTimeout(m.context(), m.spec.timeouts.Drain)
			err = o.drain(drainCtx, m, old, leases)
			cancel()
			err = errors.Join(err, o.stopGraph(m, old))
			o.mu.Lock()
			o.quarantine(m, err)
			o.mu.Unlock()
		}
		o.mu.Lock()
		m.draining = slices.DeleteFunc(m.draining, func(r retired) bool { return slices.Contains(leases, r) })
		m.beside = nil
		o.asked++
		o.broadcast()
		o.mu.Unlock()
		o.wake()
	})
}
