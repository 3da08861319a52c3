package orchestrator

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// use is called by a call on a module that starts OnFirstUse and does not run. It has the module started and waits for it,
// as long as ctx and the start timeout of the module allow. It reports whether the module has come up; if not, the noop is to
// answer.
func (o *Orchestrator) use(ctx context.Context, m *module) bool {
	if ctx.Err() != nil || ctx.Value(stepOf{}) == m { // a step would wait for itself
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, m.spec.timeouts.Start)
	defer cancel()
	for {
		o.mu.Lock()
		running, hopeless, changed := m.state == Running, m.hopeless(), o.changed
		first := !m.used
		m.used, m.usedAt = true, time.Now()
		o.mu.Unlock()
		if running {
			return true
		}
		if hopeless {
			return false
		}
		if first {
			o.poke()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// hopeless reports whether waiting for the module makes no sense.
func (m *module) hopeless() bool {
	if !m.wanted || m.state == Failed || m.onHold {
		return true
	}
	for _, r := range m.requires {
		if r.hopeless() {
			return true
		}
	}
	return false
}

// weighNeeds finds out which modules are to run: all that are wanted, but those that start OnFirstUse only while they are
// called, or required by one that is to run. It returns when to look again. The caller holds mu.
func (o *Orchestrator) weighNeeds(now time.Time) (wakeAt time.Time) {
	for _, m := range slices.Backward(o.modules) { // dependants first
		m.needed = m.wanted
		if m.spec.start == OnFirstUse && m.wanted {
			wakeAt = earlier(wakeAt, m.weighUse(now))
		}
	}
	for _, m := range o.modules { // requirements first
		m.goes = m.state == Running && (!m.needed || m.spec.onChange == StopFirst && m.stale() && m.mayReplace(now) ||
			slices.ContainsFunc(m.requires, func(r *module) bool { return r.state != Running || r.goes }))
	}
	return wakeAt
}

// weighUse finds out whether a module that starts OnFirstUse is to run, and returns when to look again.
func (m *module) weighUse(now time.Time) (wakeAt time.Time) {
	if timeout := m.spec.idleTimeout; timeout > 0 && (m.state == Running || m.state == Failed) {
		if calls := m.calls(); m.leases() > 0 || calls != m.callsSeen {
			m.used, m.usedAt, m.callsSeen = true, now, calls
		}
		if now.Sub(m.usedAt) >= timeout {
			m.used = false
		}
		wakeAt = now.Add(max(timeout/8, time.Millisecond))
	}
	m.needed = m.used
	for _, d := range m.requiredBy {
		if d.needed {
			m.needed, m.used, m.usedAt = true, true, now
		}
	}
	return wakeAt
}

// whyIdle says why the module is not needed any more.
func (m *module) whyIdle() string {
	if m.spec.idleTimeout == 0 {
		return "what it was started for is over"
	}
	return fmt.Sprintf("not called for %v", m.spec.idleTimeout)
}
