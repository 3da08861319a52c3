package orchestrator

import (
	"context"
	"time"
)

// use is called by a call on a module that starts OnFirstUse and does not run. It has the module started and waits for it,
// as long as ctx and the start timeout of the module allow. It reports whether the module has come up; if not, the noop is to
// answer.
func (o *Orchestrator) use(ctx context.Context, m *module) bool {
	if ctx.Value(stepOf{}) == m { // the step would wait for itself
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
	if !m.wanted || m.state == Failed {
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
	for i := len(o.modules) - 1; i >= 0; i-- { // dependants first
		m := o.modules[i]
		m.needed = m.wanted
		if m.spec.start != OnFirstUse || !m.wanted {
			continue
		}
		if m.state == Running && m.spec.idleTimeout == 0 {
			m.used = true
		}
		if m.state == Running && m.spec.idleTimeout > 0 {
			if calls := m.calls(); m.leases() > 0 || calls != m.callsSeen {
				m.used, m.usedAt, m.callsSeen = true, now, calls
			}
			if now.Sub(m.usedAt) >= m.spec.idleTimeout {
				m.used = false
			}
			wakeAt = earlier(wakeAt, now.Add(max(m.spec.idleTimeout/8, time.Millisecond)))
		}
		m.needed = m.used
		for _, d := range m.requiredBy {
			m.needed = m.needed || d.needed
		}
	}
	return wakeAt
}
