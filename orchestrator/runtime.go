package orchestrator

import (
	"context"
	"fmt"
	"time"
)

// module is one declared module in one app. Everything from state on is guarded by the engine's mutex.
type module struct {
	spec    *spec
	slots   []slot // one for each export
	imports []imported

	requires, uses []*module // sorted by name
	requiredBy     []*module
	usedBy         []*module

	wanted bool   // by its flag, and nothing that it requires is unwanted
	why    string // ... or why not

	state    State
	reason   string
	since    time.Time
	decision Decision
	override *Override // nil: the flag decides
	history  []Transition

	busy        bool   // a transition runs
	cancelStart func() // while it is a start: gives it up
	graph       *graph // while Running
	draining    []retired
	generation  uint64
	runningFrom time.Time

	failure   error     // why a Running module must stop; nil: it may run
	lastError error     // the last failure, kept for the operator
	failures  int       // in a row
	retryAt   time.Time // when Failed
	hung      *hungError
}

// historyLength is how many transitions Explain remembers.
const historyLength = 32

func newModule(s *spec) *module {
	return &module{spec: s, state: Off, reason: "the app has not started", since: time.Now()}
}

func (m *module) bindNoops(o *Orchestrator) {
	for _, e := range m.spec.exports {
		if e.noop != nil {
			e.noop.bind(&noopBinding{module: m.spec.name, flag: m.spec.flag, reason: func() string {
				o.mu.Lock()
				defer o.mu.Unlock()
				return m.whyNoop()
			}})
		}
	}
}

// whyNoop is what a caller who reaches the noop is told.
func (m *module) whyNoop() string {
	switch m.state {
	case Running:
		return "it has just started; try again"
	case Failed: // the cause is for the operator, who finds it in the status
		return fmt.Sprintf("flag %q is on, but the module failed and is retried", m.spec.flag)
	case Off:
		return m.reason
	default:
		return "it is " + string(m.state) + ": " + m.reason
	}
}

// active reports whether anything of the module runs.
func (m *module) active() bool { return m.busy || m.state == Running }

// holdsUp names the modules that have to stop before m does: those that require it and, when they are to stop as well, those
// that use it.
func (m *module) holdsUp() []string {
	var list []string
	for _, d := range m.requiredBy {
		if d.active() {
			list = append(list, d.spec.name)
		}
	}
	for _, d := range m.usedBy {
		if d.active() && !d.wanted {
			list = append(list, d.spec.name)
		}
	}
	return list
}

// lacks returns the first required module that does not serve.
func (m *module) lacks() *module {
	for _, r := range m.requires {
		if !r.wanted || r.state != Running || r.failure != nil {
			return r
		}
	}
	return nil
}

// comesAfter returns a used module that is just starting: m starts when that has ended, well or not.
func (m *module) comesAfter() *module {
	for _, u := range m.uses {
		if u.state == Starting {
			return u
		}
	}
	return nil
}

func (m *module) leases() int64 {
	var sum int64
	for _, s := range m.slots {
		sum += s.leases()
	}
	for _, r := range m.draining {
		sum += r.leases()
	}
	return sum
}

func (m *module) noopCalls() uint64 {
	var sum uint64
	for _, e := range m.spec.exports {
		if e.noop != nil {
			sum += e.noop.Calls()
		}
	}
	return sum
}

// hangs reports whether something of an earlier start or stop has still not returned.
func (m *module) hangs() bool {
	if m.hung == nil {
		return false
	}
	select {
	case <-m.hung.returned:
		m.hung = nil
		return false
	default:
		return true
	}
}

// Drainer is implemented by an exported value with calls that last (watches, streams, upgraded connections). Drain is
// called once, when the noop already serves, and ends them cleanly; it returns when ctx ends at the latest.
type Drainer interface {
	Drain(ctx context.Context) error
}
