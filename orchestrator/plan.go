package orchestrator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Change is a set of overrides to set and to clear, all or none.
type Change struct {
	Set    map[string]string `json:"set,omitempty"`   // module to "on", "off" or a variant
	Clear  []string          `json:"clear,omitempty"` // modules whose flag is to decide again
	TTL    time.Duration     `json:"ttlNanoseconds"`  // of what is set; 0: until it is cleared
	Reason string            `json:"reason"`          // why; required by Apply
	Actor  string            `json:"actor"`           // who; required by Apply
}

// ChangeError says what is wrong with a change.
type ChangeError struct {
	Field   string // for example set.aggregator
	Value   string
	Allowed string
}

func (e *ChangeError) Error() string {
	return fmt.Sprintf("%s: %q: allowed is %s", e.Field, e.Value, e.Allowed)
}

// Plan is what a change would do to the app as it is now, if every start succeeds.
type Plan struct {
	Change  Change    `json:"change"`
	Steps   []Step    `json:"steps"`   // stops first, dependants before what they depend on; then the rest, the other way round
	Outcome []Outcome `json:"outcome"` // every module afterwards, sorted by name

	seen map[string]*Override // in force when the plan was made, for the modules of the change; nil: not known
}

// Step is one thing to do.
type Step struct {
	Module  string `json:"module"`
	Action  Action `json:"action"`
	From    State  `json:"from"`
	To      State  `json:"to"`
	Variant string `json:"variant,omitempty"` // that runs afterwards
	Reason  string `json:"reason"`
}

// Action is the kind of a step.
type Action string

// The actions.
const (
	StopAction    Action = "stop"
	StartAction   Action = "start"
	ReplaceAction Action = "replace" // the module runs all the time
)

// Outcome is a module after the change.
type Outcome struct {
	Module         string `json:"module"`
	State          State  `json:"state"`
	Implementation string `json:"implementation"`
	Reason         string `json:"reason"`
	Changes        bool   `json:"changes"` // it is started, stopped, replaced, or waits for something else

	Decision Decision `json:"decision"` // that will be in force
}

// Plan says what a change would do. It does nothing. A module that fails now and is not touched by the change is expected to
// go on failing. Before the app has started, the plan for an empty change is what starting it will do. Errors:
// *UnknownModuleError and *ChangeError, joined.
func (o *Orchestrator) Plan(c Change) (Plan, error) {
	decisions := o.decisions()
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.checkChange(c); err != nil {
		return Plan{}, err
	}
	p := o.plan(c, decisions)
	p.seen = o.overridesOf(c)
	return p, nil
}

func (o *Orchestrator) checkChange(c Change) error {
	var errs []error
	for _, name := range sortedKeys(c.Set) {
		m, err := o.find(name)
		if err == nil {
			if refused := (*OverrideError)(nil); errors.As(m.spec.checkOverride(c.Set[name]), &refused) {
				err = &ChangeError{Field: "set." + name, Value: refused.Value, Allowed: refused.Allowed}
			}
		}
		errs = append(errs, err)
	}
	for _, name := range c.Clear {
		_, err := o.find(name)
		if _, both := c.Set[name]; both {
			err = &ChangeError{Field: "clear", Value: name, Allowed: "a module that is not in set too"}
		}
		errs = append(errs, err)
	}
	if c.TTL < 0 {
		errs = append(errs, &ChangeError{Field: "ttl", Value: c.TTL.String(), Allowed: "a positive duration, or none for a change without end"})
	}
	return errors.Join(errs...)
}

// overrides is what the change means for each module that it names.
func (c Change) overrides(now time.Time) map[string]*Override {
	all := map[string]*Override{}
	for name, to := range c.Set {
		v := &Override{Module: name, To: to, Reason: c.Reason, Actor: c.Actor, At: now.UTC()}
		if c.TTL > 0 {
			v.Until = v.At.Add(c.TTL)
		}
		all[name] = v
	}
	for _, name := range c.Clear {
		all[name] = nil
	}
	return all
}

// plan predicts what the reconciler will do. The caller holds mu.
func (o *Orchestrator) plan(c Change, decisions []Decision) Plan {
	changed := c.overrides(time.Now())
	for i, m := range o.modules {
		v, named := changed[m.spec.name]
		if !named {
			v = m.override
		}
		decisions[i], _ = m.inForce(decisions[i], v)
	}
	forecasts := o.forecast(decisions, time.Now())

	p := Plan{Change: c, Steps: []Step{}, Outcome: []Outcome{}}
	for i, m := range slices.Backward(o.modules) {
		f := forecasts[i]
		if m.serving() && (f.state != Running || f.restarts) {
			p.Steps = append(p.Steps, Step{Module: m.spec.name, Action: StopAction, From: m.state, To: f.stopsTo(), Reason: f.why})
		}
	}
	for i, m := range o.modules {
		f := forecasts[i]
		step := Step{Module: m.spec.name, From: m.state, To: Running, Variant: f.variant(), Reason: f.why}
		switch {
		case f.state != Running:
		case f.restarts:
			step.Action, step.From = StartAction, Off
			p.Steps = append(p.Steps, step)
		case !m.serving():
			step.Action = StartAction
			p.Steps = append(p.Steps, step)
		case f.implementation != m.current():
			step.Action = ReplaceAction
			p.Steps = append(p.Steps, step)
		}
		outcome := f.outcome(m)
		outcome.Decision = decisions[i]
		p.Outcome = append(p.Outcome, outcome)
	}
	slices.SortFunc(p.Outcome, func(a, b Outcome) int { return strings.Compare(a.Module, b.Module) })
	return p
}

// serving reports whether the module runs or is about to.
func (m *module) serving() bool { return m.state == Running || m.state == Starting }

// current is the implementation that runs or starts, or nil.
func (m *module) current() *implementation {
	switch {
	case !m.starting.none():
		return m.starting.implementation
	case m.graph != nil:
		return m.graph.implementation
	default:
		return nil
	}
}

// forecast is where a module is expected to end.
type forecast struct {
	verdict
	needed   bool
	state    State
	restarts bool // it runs, is stopped, and started again
}

func (f *forecast) variant() string {
	if f.state != Running {
		return ""
	}
	return f.implementation.name
}

func (f *forecast) stopsTo() State {
	if f.restarts {
		return Off
	}
	return f.state
}

func (f *forecast) outcome(m *module) Outcome {
	o := Outcome{Module: m.spec.name, State: f.state, Implementation: implementationNoop, Reason: f.why}
	if f.state == Running {
		o.Implementation = m.serves(f.implementation)
	}
	o.Changes = f.state != m.state || f.restarts || f.state == Running && f.implementation != m.current()
	return o
}

// hold keeps a module as it is that Damping holds back.
func (f *forecast) hold(m *module, by Decision, now time.Time) {
	until, why := m.held(by, now)
	if until.IsZero() {
		return
	}
	f.why += "; " + why
	if m.serving() && !f.restarts {
		f.implementation = m.current()
	} else {
		f.state, f.restarts = Waiting, false
	}
}

// forecast follows decisions through to the end. The caller holds mu.
func (o *Orchestrator) forecast(decisions []Decision, now time.Time) []forecast {
	verdicts := o.judge(decisions)
	all := make([]forecast, len(verdicts))
	for i := len(verdicts) - 1; i >= 0; i-- { // dependants first
		m, f := o.modules[i], &all[i]
		f.verdict = verdicts[i]
		f.needed = f.wanted && (m.spec.start != OnFirstUse || m.used)
		for _, d := range m.requiredBy {
			f.needed = f.needed || f.wanted && all[d.index].needed
		}
	}
	for i, m := range o.modules { // requirements first
		f := &all[i]
		lacks := slices.ContainsFunc(m.requires, func(r *module) bool { return all[r.index].state != Running })
		switch {
		case !f.wanted:
			f.state = f.rest
		case !f.needed:
			f.state = Idle
		case lacks:
			f.state = Waiting
		case m.state == Failed && m.failedAttempt == m.attemptOf(f.implementation):
			f.state = Failed
		default:
			f.state = Running
		}
		if f.state == Running && m.state == Running && m.failedAttempt == m.attemptOf(f.implementation) {
			f.implementation = m.current() // its replacement fails
		}
		if f.state == Running && f.implementation != m.current() {
			f.hold(m, decisions[i], now)
		}
		if f.state == Running && m.serving() {
			f.restarts = m.spec.onChange == StopFirst && f.implementation != m.current() ||
				slices.ContainsFunc(m.requires, func(r *module) bool { return all[r.index].restarts })
			if f.restarts && f.implementation == m.current() { // it stops with what it requires, and may be held back then
				f.hold(m, decisions[i], now)
			}
		}
	}
	return all
}
