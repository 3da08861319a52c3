package orchestrator

import (
	"fmt"
	"strings"
	"time"
)

// loop is the reconciler: it compares what the gate wants with what runs, starts the transitions that close the gap, and
// sleeps until something may have changed. It is level-triggered: it acts on the latest decisions only, however often and
// in whatever order they changed. It ends when the app stops and no module runs any more.
func (o *Orchestrator) loop() {
	defer close(o.loopDone)
	defer o.discardPrebuilt()
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
	decisions := o.decisions()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.passed = asked
	defer o.broadcast()
	for i, m := range o.modules {
		wakeAt = earlier(wakeAt, o.expireOverride(m, now))
		o.take(m, decisions[i])
		decisions[i] = m.decision
	}
	for i, v := range o.judge(decisions) {
		if o.stopping {
			v = verdict{rest: Off, why: "the app is stopping"}
		}
		v.why += o.modules[i].misread
		o.modules[i].verdict = v
	}
	wakeAt = earlier(wakeAt, o.weighNeeds(now))
	done = o.stopping
	for _, m := range o.modules { // requirements first
		wakeAt = earlier(wakeAt, o.act(m, now))
		m.tell()
		if m.active() {
			done = false
		}
	}
	return wakeAt, done
}

// earlier returns the earlier of two times; the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// act starts the transition that is due for a module, or records why it is as it is. It returns when to look again.
func (o *Orchestrator) act(m *module, now time.Time) time.Time {
	m.leaving = false
	lacks := m.lacks()
	switch {
	case m.busy:
		if m.cancelStart != nil && (!m.wanted || lacks != nil || m.attempt() != m.starting) {
			m.cancelStart()
		}
		return time.Time{}
	case m.state == Running:
		return o.actRunning(m, lacks, now)
	case !m.wanted:
		m.halfway, m.used = false, false
		if m.state == Failed {
			m.forgive()
		}
		o.enter(m, m.rest, m.why)
		return time.Time{}
	}
	if m.spec.static && m.prebuilt == nil {
		m.reason = m.why + "; restart required: the module has stopped, and can't be built again"
		return time.Time{}
	}
	var retry time.Time
	if m.failedAttempt == m.attempt() && m.lastError != nil { // it asks for what has failed
		retry = m.retryAt
	}
	held, why := m.held(m.decision, now)
	m.onHold = false
	switch {
	case !m.needed:
		o.enter(m, Idle, m.why+"; it starts when it is called")
	case lacks != nil:
		o.enter(m, Waiting, m.waitsFor(lacks))
	case m.beside != nil:
		o.enter(m, Waiting, fmt.Sprintf("%s; it starts when %s", m.why, m.beside.ends()))
	case now.Before(retry): // Failed, or waiting for something else meanwhile
		o.enter(m, Failed, m.lastError.Error())
		return retry
	case m.hangs():
		o.enter(m, Failed, fmt.Sprintf("not started again, because of an earlier run %s", m.hanging()))
	case !held.IsZero() && !m.halfway:
		to := Waiting
		m.onHold = true
		if m.state == Failed {
			to = Failed
		}
		o.enter(m, to, fmt.Sprintf("%s; %s", m.why, why))
		return held
	case m.comesAfter() != nil:
		o.enter(m, Waiting, fmt.Sprintf("%s; it starts after %s", m.why, m.comesAfter().spec.name))
	default:
		o.beginStart(m, m.why)
	}
	return time.Time{}
}

// actRunning stops or replaces a running module when it is due.
func (o *Orchestrator) actRunning(m *module, lacks *module, now time.Time) time.Time {
	switch failure := m.graph.failure(); {
	case failure != nil:
		m.leaving, m.halfway = true, false
		o.beginStop(m, failure.Error(), failure)
		return time.Time{}
	case !m.wanted:
		m.halfway = false
		o.leave(m, m.why)
		return time.Time{}
	case lacks != nil:
		o.leave(m, m.waitsFor(lacks))
		return time.Time{}
	case !m.needed:
		o.leave(m, m.why+"; "+m.whyIdle())
		return time.Time{}
	case !m.stale():
		m.cancelBeside()
		m.halfway = false
		if !m.failedAttempt.none() && m.failedAttempt != m.attempt() {
			m.forgive() // the change that failed is not wanted any more
		}
		m.reason = m.why
		return time.Time{}
	}
	held, why := m.held(m.decision, now)
	still := fmt.Sprintf("%s; until it is replaced, %s serves", m.why, m.graph.implementation.name)
	switch {
	case m.beside != nil:
		if !m.beside.target.none() && m.beside.target != m.attempt() {
			m.cancelBeside()
		}
		m.reason = still
	case m.failedAttempt == m.attempt() && now.Before(m.retryAt):
		m.reason = fmt.Sprintf("%s; the replacement failed: %v", still, m.lastError)
		return m.retryAt
	case m.hangs():
		m.reason = fmt.Sprintf("%s; not replaced, because of an earlier run %s", still, m.hanging())
	case !held.IsZero():
		m.reason = still + "; " + why
		return held
	case m.spec.onChange == StopFirst:
		m.halfway = true
		o.leave(m, m.why+"; it is replaced")
	default:
		m.reason = still
		o.beginReplace(m, m.why)
	}
	return time.Time{}
}

// leave stops a running module as soon as those that depend on it have stopped.
func (o *Orchestrator) leave(m *module, reason string) {
	m.leaving = true
	if first := m.holdsUp(); len(first) > 0 {
		m.reason = fmt.Sprintf("%s; it stops after %s", reason, strings.Join(first, ", "))
		return
	}
	o.beginStop(m, reason, nil)
}

// waitsFor says which requirement keeps a wanted module from running.
func (m *module) waitsFor(r *module) string {
	if r.state == Running {
		return fmt.Sprintf("%s, but it requires %q, which is about to stop", m.why, r.spec.name)
	}
	return fmt.Sprintf("%s, but it requires %q, which is %s", m.why, r.spec.name, r.state)
}

// enter records that the module is in a state. The caller holds mu.
func (o *Orchestrator) enter(m *module, to State, reason string) {
	from := m.state
	m.state, m.reason = to, reason
	m.tell()
	if m.spec.start == OnFirstUse && to != Running {
		m.retract()
	}
	if from == to {
		return
	}
	now := time.Now()
	e := StateChanged{Module: m.spec.name, From: from, To: to, Reason: reason, Generation: m.generation, Took: now.Sub(m.since)}
	m.since = now
	for _, i := range []*implementation{m.current(), m.ending} {
		if i != nil && e.Variant == "" {
			e.Variant = i.name
		}
	}
	m.history = append(m.history, Transition{At: m.since, From: from, To: to, Reason: reason})
	if extra := len(m.history) - historyLength; extra > 0 {
		m.history = append([]Transition{}, m.history[extra:]...)
	}
	switch to {
	case Failed:
		e.Error = reason
		o.log.Error("module failed; its noop serves", "module", m.spec.name, "error", reason, "retry", max(0, time.Until(m.retryAt)).Round(time.Millisecond))
	case NotLinked:
		o.log.Warn("module is not linked", "module", m.spec.name, "reason", reason)
	default:
		o.log.Info("module "+string(to), "module", m.spec.name, "from", string(from), "reason", reason)
	}
	o.events.add(e)
	o.broadcast()
}
