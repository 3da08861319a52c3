package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// ErrChangeRunning is what Apply returns while another change is being applied.
var ErrChangeRunning = errors.New("another change is being applied")

// StalePlanError says that the app has changed since the plan was made: what it would do now is something else.
type StalePlanError struct {
	Planned, Now []Step
}

func (e *StalePlanError) Error() string {
	return fmt.Sprintf("the app has changed since the plan was made: it had %d steps, and would have %d now; make a new plan", len(e.Planned), len(e.Now))
}

// ApplyError says why a change was not carried out.
type ApplyError struct {
	Module     string // the first that did not get where it should; empty: none in particular
	Cause      error
	RolledBack bool  // everything is as it was before
	Rollback   error // what went wrong then; nil if RolledBack
}

func (e *ApplyError) Error() string {
	text := fmt.Sprintf("the change failed: %v", e.Cause)
	if e.Module != "" {
		text = fmt.Sprintf("the change failed at module %q: %v", e.Module, e.Cause)
	}
	if e.RolledBack {
		return text + "; it was rolled back"
	}
	return fmt.Sprintf("%s; it could not be rolled back: %v", text, e.Rollback)
}

func (e *ApplyError) Unwrap() []error { return []error{e.Cause, e.Rollback} }

// Apply carries out a plan, all or nothing, and returns when every module is where the plan says. If a module does not get
// there, or ctx ends first, the overrides that the plan has set are put back to what they were (except those that somebody
// has changed meanwhile: a kill switch always works), the modules follow in the reverse order, and the error is an
// *ApplyError. A module with OnFailure(Abort) that fails in a change is rolled back too, instead of ending the app.
//
// Other errors, with nothing done: *UnknownModuleError, *ChangeError, *StalePlanError, ErrChangeRunning, or that of the
// file system when overrides are kept on disk.
func (o *Orchestrator) Apply(ctx context.Context, p Plan) error {
	if err := errors.Join(requiredOf("reason", p.Change.Reason), requiredOf("actor", p.Change.Actor)); err != nil {
		return err
	}
	before, serving, err := o.beginApply(&p)
	if err != nil {
		return err
	}
	began := time.Now()
	failed := o.carryOut(ctx, p, before, serving)
	o.mu.Lock()
	o.applying = nil
	o.mu.Unlock()
	done := ChangeFinished{Set: maps.Clone(p.Change.Set), Clear: slices.Clone(p.Change.Clear), Actor: p.Change.Actor, Reason: p.Change.Reason, Took: time.Since(began)}
	if failed != nil {
		done.Error = failed.Error()
		if undone := (*ApplyError)(nil); errors.As(failed, &undone) {
			done.RolledBack = undone.RolledBack
		}
	}
	o.events.add(done)
	return failed
}

func requiredOf(field, value string) error {
	if refused := (*OverrideError)(nil); errors.As(required(field, value), &refused) {
		return &ChangeError{Field: field, Value: value, Allowed: refused.Allowed}
	}
	return nil
}

// beginApply claims the app for a plan that still fits, and returns the overrides that it is going to change, and what the
// modules are that serve.
func (o *Orchestrator) beginApply(p *Plan) (before map[string]*Override, serving map[*module]*implementation, err error) {
	decisions := o.decisions()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.applying != nil {
		return nil, nil, ErrChangeRunning
	}
	if err := o.checkChange(p.Change); err != nil {
		return nil, nil, err
	}
	now := o.plan(p.Change, decisions)
	if !slices.EqualFunc(p.Steps, now.Steps, func(a, b Step) bool {
		return a.Module == b.Module && a.Action == b.Action && a.Variant == b.Variant
	}) {
		return nil, nil, &StalePlanError{Planned: p.Steps, Now: now.Steps}
	}
	p.Outcome = now.Outcome
	o.applying = p
	before = o.overridesOf(p.Change)
	if p.seen != nil && !maps.Equal(p.seen, before) {
		return nil, nil, &StalePlanError{Planned: p.Steps, Now: now.Steps}
	}
	serving = map[*module]*implementation{}
	for _, m := range o.modules {
		if m.state == Running {
			serving[m] = m.current()
		}
	}
	return before, serving, nil
}

// overridesOf is what is in force for the modules that a change names. The caller holds mu.
func (o *Orchestrator) overridesOf(c Change) map[string]*Override {
	all := map[string]*Override{}
	for name := range c.overrides(time.Time{}) {
		if m, err := o.find(name); err == nil {
			all[name] = m.override
		}
	}
	return all
}

// carryOut changes the overrides, waits for the modules, and undoes everything if one of them fails.
func (o *Orchestrator) carryOut(ctx context.Context, p Plan, before map[string]*Override, serving map[*module]*implementation) error {
	ours := p.Change.overrides(time.Now())
	err := o.changeOverrides(overrideChange{to: ours, from: before, actor: p.Change.Actor, reason: p.Change.Reason})
	if errors.Is(err, errOverridden) {
		return &StalePlanError{Planned: p.Steps, Now: []Step{}}
	}
	if err != nil {
		return err
	}
	module, cause := o.awaitOutcome(ctx, p.Outcome)
	if cause == nil {
		return nil
	}
	o.prepareRollback(p, serving)
	err = o.changeOverrides(overrideChange{to: before, from: ours, undo: true, actor: p.Change.Actor, reason: "rolled back: " + cause.Error()})
	if err == nil {
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.patience())
		defer cancel()
		err = o.Settled(patience)
	}
	if err == nil {
		err = o.restored(serving)
	}
	return &ApplyError{Module: module, Cause: cause, RolledBack: err == nil, Rollback: err}
}

// restored reports which modules don't serve any more although nobody wants them otherwise.
func (o *Orchestrator) restored(serving map[*module]*implementation) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var errs []error
	for _, m := range o.modules {
		wanted := m.wanted && m.implementation == serving[m] || m.missedBoot
		if i := serving[m]; i != nil && wanted && (m.state != Running || m.graph.implementation != i) {
			why := m.lastError
			if why == nil {
				why = errors.New(m.reason)
			}
			errs = append(errs, fmt.Errorf("module %q, which ran before, is %s: %w", m.spec.name, m.state, why))
		}
	}
	return errors.Join(errs...)
}

// prepareRollback lets modules be Idle again that the plan has started although nobody has called them, and those that served
// start again at once, whatever they have failed at meanwhile.
func (o *Orchestrator) prepareRollback(p Plan, serving map[*module]*implementation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, step := range p.Steps {
		if m, err := o.find(step.Module); err == nil && step.From == Idle && m.calls() == 0 {
			m.used = false
		}
	}
	for m := range serving {
		if !m.failedAttempt.none() {
			m.forgive()
		}
	}
}

// patience is how long all modules may take to stop and to start again, one after the other at the worst.
func (o *Orchestrator) patience() time.Duration {
	var sum time.Duration
	for _, m := range o.modules {
		sum += m.spec.timeouts.Start + m.spec.timeouts.Drain + m.spec.timeouts.Stop
	}
	return sum
}

// awaitOutcome waits until every module that is to change is where it should be. It returns the one that is the reason why
// that will not happen: the first that failed, else the first that is elsewhere although nothing moves any more.
func (o *Orchestrator) awaitOutcome(ctx context.Context, outcome []Outcome) (culprit string, err error) {
	for {
		o.mu.Lock()
		reached, culprit, err := o.progress(outcome)
		changed := o.changed
		o.mu.Unlock()
		if reached || err != nil {
			return culprit, err
		}
		select {
		case <-changed:
		case <-o.loopDone:
			return "", errors.New("the app has stopped")
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// progress compares the modules with where they should be. The caller holds mu.
func (o *Orchestrator) progress(outcome []Outcome) (reached bool, culprit string, err error) {
	if o.passed != o.asked {
		return false, "", nil
	}
	want := map[string]Outcome{}
	for _, w := range outcome {
		if w.Changes {
			want[w.Module] = w
		}
	}
	reached = true
	for _, m := range o.modules { // requirements first: what fails because of another one comes after it
		w, changes := want[m.spec.name]
		if !changes || m.reached(w) {
			continue
		}
		reached = false
		if w.State == Running && m.failedAttempt == m.attempt() && m.lastError != nil {
			return false, m.spec.name, m.lastError
		}
		if culprit == "" {
			culprit, err = m.spec.name, fmt.Errorf("it is %s instead of %s: %s", m.state, w.State, m.reason)
		}
	}
	if slices.ContainsFunc(o.modules, (*module).inTransition) {
		return reached, "", nil
	}
	return reached, culprit, err
}

// reached reports whether the module is where it should be.
func (m *module) reached(want Outcome) bool {
	if m.busy {
		return false
	}
	if want.State == Idle && m.state == Running {
		return true // somebody has called it meanwhile
	}
	if m.state != want.State {
		return false
	}
	return m.state != Running || m.serves(m.graph.implementation) == want.Implementation && !m.stale()
}

// touches reports whether the plan changes the module. It may be called on nil.
func (p *Plan) touches(m *module) bool {
	return p != nil && slices.ContainsFunc(p.Outcome, func(o Outcome) bool { return o.Module == m.spec.name && o.Changes })
}
