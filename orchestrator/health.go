package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// HealthPolicy says how a module's health is judged. A zero field takes its default.
type HealthPolicy struct {
	Interval  time.Duration // between two checks; default 10 s
	Timeout   time.Duration // of one check; default 5 s
	Failures  int           // how many failures in a row make the module Failed; default 3
	Probation time.Duration // how long after the start one failure is enough; default 30 s
}

// Health adds a check to a module. T is an export, or any other type that the private graph provides.
//
// A new copy of the module serves only when the check has passed; it is repeated until then, at most for the start timeout.
// Afterwards the check runs periodically. When it fails too often, panics included, the module is Failed: the noop serves,
// and the module is started again with backoff. A check that does not return in time counts as failed; the next one waits
// for it. The check is called from one goroutine and holds no lease.
func Health[T any](check func(ctx context.Context, module T) error, policy ...HealthPolicy) ModuleOption {
	h := healthCheck{typ: reflect.TypeFor[T](), policy: HealthPolicy{Interval: 10 * time.Second, Timeout: 5 * time.Second, Failures: 3, Probation: 30 * time.Second}}
	for _, p := range policy {
		h.problem = errors.Join(h.problem, h.policy.merge(p))
	}
	if check == nil {
		h.problem = errors.Join(h.problem, fmt.Errorf("check of Health[%v] is nil", h.typ))
	} else {
		h.run = func(ctx context.Context, module any) error { return check(ctx, module.(T)) }
	}
	return variantOption(func(i *implementation) { i.health = append(i.health, h) })
}

func (p *HealthPolicy) merge(with HealthPolicy) error {
	var errs []error
	for _, f := range []struct {
		name string
		from time.Duration
		to   *time.Duration
	}{{"Interval", with.Interval, &p.Interval}, {"Timeout", with.Timeout, &p.Timeout}, {"Probation", with.Probation, &p.Probation}} {
		switch {
		case f.from < 0:
			errs = append(errs, fmt.Errorf("HealthPolicy.%s: %v is negative", f.name, f.from))
		case f.from > 0:
			*f.to = f.from
		}
	}
	switch {
	case with.Failures < 0:
		errs = append(errs, fmt.Errorf("HealthPolicy.Failures: %d is negative", with.Failures))
	case with.Failures > 0:
		p.Failures = with.Failures
	}
	return errors.Join(errs...)
}

// healthCheck is a check as declared.
type healthCheck struct {
	typ     reflect.Type
	policy  HealthPolicy
	run     func(ctx context.Context, module any) error
	problem error
}

// probe is a check on one copy of a module.
type probe struct {
	healthCheck
	module any
	hung   *hungError // the last check, while it has not returned
}

// once runs the check, contained and bounded.
func (p *probe) once(ctx context.Context) error {
	if p.hangs() {
		return p.hung
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.policy.Timeout, fmt.Errorf("no answer within %v", p.policy.Timeout))
	defer cancel()
	err := await(ctx, hookGrace, "health check", func() error { return p.run(ctx, p.module) }, nil)
	p.hung, _ = err.(*hungError) //nolint:errorlint // await returns it unwrapped
	return err
}

// hangs reports whether the last check has still not returned.
func (p *probe) hangs() bool {
	if p.hung == nil {
		return false
	}
	select {
	case <-p.hung.returned:
		p.hung = nil
		return false
	default:
		return true
	}
}

// first repeats the check until it passes or ctx ends.
func (p *probe) first(ctx context.Context) error {
	pause := min(10*time.Millisecond, p.policy.Interval)
	for {
		err := p.once(ctx)
		if err == nil {
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("unhealthy: %w (%w)", err, context.Cause(ctx))
		}
		pause = min(2*pause, p.policy.Interval)
	}
}

// watch repeats the check until it has failed too often, or ctx ends.
func (p *probe) watch(ctx context.Context) error {
	trusted := time.Now().Add(p.policy.Probation)
	ticker := time.NewTicker(p.policy.Interval)
	defer ticker.Stop()
	failures := 0
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		err := p.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			failures = 0
			continue
		}
		failures++
		if failures >= p.policy.Failures || time.Now().Before(trusted) {
			return fmt.Errorf("unhealthy: %w (failures in a row: %d)", err, failures)
		}
	}
}
