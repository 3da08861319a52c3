package orchestrator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// module is one declared module in one app. Everything from decision on is guarded by the engine's mutex.
type module struct {
	spec  *spec
	index int    // in the order of the modules
	slots []slot // one for each export

	requires, uses []*module // sorted by name
	requiredBy     []*module
	usedBy         []*module

	frozen    *Decision  // of a static module: the one that counts
	prebuilt  *graph     // of a static module that is on, until it is started
	builtWith []imported // the imports when the app was built

	decision   Decision // in force
	decided    bool
	good       *Decision // the last of the gate that could be understood; nil: none
	override   *Override // nil: the flag decides
	said       said
	misread    string // what the flag asks for in vain
	missedBoot bool   // it starts at boot only, and that is over
	verdict
	needed bool // wanted, and to run now
	onHold bool // by Damping

	imports       []imported                 // the values that it is to be made of
	settings      map[*implementation]uint64 // changes when the implementation's imports do
	misconfigured string                     // settings that can't be taken over while the app runs

	state       State
	reason      string
	since       time.Time
	told        atomic.Pointer[string] // why the noop serves
	toldOf      standing
	history     []Transition
	busy        bool            // a transition runs
	goes        bool            // it runs, and is to stop by what is known now
	leaving     bool            // it runs, but is to stop as soon as its dependants have
	starting    attempt         // while it starts
	ending      *implementation // while it stops
	cancelStart func()          // while it starts: gives it up
	graph       *graph          // while Running
	beside      *replacement
	draining    []retired
	generation  uint64
	runningFrom time.Time

	used      bool // called since it was last Idle
	usedAt    time.Time
	callsSeen uint32

	lastError     error // the last failure, kept for the operator
	failures      int   // in a row
	failedAttempt attempt
	retryAt       time.Time
	hung          []*hungError
	switchedAt    time.Time   // the last start or stop
	starts        []time.Time // within the last hour, if they are limited
	halfway       bool        // it was stopped to be started again as it is wanted now
}

// historyLength is how many transitions Explain remembers.
const historyLength = 32

func newModule(s *spec) *module {
	m := &module{spec: s, state: Off, reason: "the app has not started", since: time.Now(), settings: map[*implementation]uint64{}}
	m.tell()
	return m
}

// attach makes what the module hands out know the engine.
func (m *module) attach(o *Orchestrator) {
	m.bindNoops()
	m.override = o.boot.overrides[m.spec.name]
	if m.spec.start == OnFirstUse {
		for _, s := range m.slots {
			s.onUse(func(ctx context.Context) bool { return o.use(ctx, m) })
		}
	}
}

// retract takes what serves away from the callers and returns it. What they reach now is the noop, or, if the module starts
// when it is called, its start.
func (m *module) retract() (old []retired) {
	onUse := m.spec.start == OnFirstUse && m.wanted && !m.halfway && m.state != Failed && (m.graph == nil || m.graph.failure() == nil)
	for _, s := range m.slots {
		if r := s.retract(onUse); r != nil {
			old = append(old, r)
		}
	}
	return old
}

// forgive forgets a failure.
func (m *module) forgive() { m.lastError, m.failures, m.failedAttempt = nil, 0, attempt{} }

func (m *module) bindNoops() {
	for _, e := range m.spec.exports {
		if e.noop != nil {
			e.noop.bind(&noopBinding{module: m.spec.name, flag: m.spec.flag, reason: func() string { return *m.told.Load() }})
		}
	}
}

// tell keeps what callers of the noop are told current, so that they don't have to ask the engine.
func (m *module) tell() {
	if now := (standing{m.state, m.reason}); m.toldOf != now || m.told.Load() == nil {
		m.toldOf = now
		why := m.whyNoop()
		m.told.Store(&why)
	}
}

// standing is what whyNoop depends on.
type standing struct {
	state  State
	reason string
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

// inTransition reports whether something about the module is under way.
func (m *module) inTransition() bool { return m.busy || m.beside != nil }

// active reports whether anything of the module runs.
func (m *module) active() bool { return m.busy || m.state == Running || m.beside != nil }

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
		if d.active() && (!d.wanted || d.halfway || d.goes) {
			list = append(list, d.spec.name)
		}
	}
	return list
}

// lacks returns the first required module that does not serve.
func (m *module) lacks() *module {
	for _, r := range m.requires {
		if !r.wanted || r.state != Running || r.leaving {
			return r
		}
	}
	return nil
}

// comesAfter returns a used module that is about to serve: m starts when that has come up, or has failed.
func (m *module) comesAfter() *module {
	for _, u := range m.uses {
		if u.coming() {
			return u
		}
	}
	return nil
}

// coming reports whether the module is starting, or only waits for others that are, be it that it still has to stop for that.
func (m *module) coming() bool {
	if m.state == Starting || m.halfway {
		return true
	}
	if !m.wanted || !m.needed || m.state == Running && !m.leaving || m.state == Failed {
		return false
	}
	waits := false
	for _, r := range m.requires {
		if r.state == Running && !r.leaving {
			continue
		}
		if !r.coming() {
			return false
		}
		waits = true
	}
	return waits || m.comesAfter() != nil
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

// calls is how many leases were taken on what serves now, modulo 2^32.
func (m *module) calls() uint32 {
	var sum uint32
	for _, s := range m.slots {
		sum += s.calls()
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

// hangs reports whether something of an earlier copy has still not returned.
func (m *module) hangs() bool {
	m.hung = slices.DeleteFunc(m.hung, func(h *hungError) bool {
		select {
		case <-h.returned:
			return true
		default:
			return false
		}
	})
	return len(m.hung) > 0
}

// hanging names what has not returned.
func (m *module) hanging() string {
	var list []string
	for _, h := range m.hung {
		list = append(list, h.Error())
	}
	return "that has not ended: " + strings.Join(list, "; ")
}

// Drainer is implemented by an exported value with calls that last (watches, streams, upgraded connections). Drain is
// called once, when the noop already serves, and ends them cleanly; it returns when ctx ends at the latest.
type Drainer interface {
	Drain(ctx context.Context) error
}
