package orchestrator

import (
	"errors"
	"fmt"
	"time"
)

// StartMode says when a module starts whose flag is on.
type StartMode int

// The start modes.
const (
	// WhenEnabled is the default: the module starts when its flag turns on, at boot or later.
	WhenEnabled StartMode = iota
	// AtBoot is for modules that can't join a running app: the flag must be on when the app starts. One that turns on later,
	// or on again, shows as "restart required". Turning it off takes effect at once, as ever; and a module that waits for a
	// requirement, or has failed, is still started when that is over.
	AtBoot
	// OnFirstUse starts the module when it is called for the first time, or when a module that requires it starts; until
	// then it is Idle. The caller waits, as long as its context and the start timeout of the module allow; if the module
	// does not come up, the noop answers. See IdleTimeout.
	OnFirstUse
)

// Start sets when the module starts.
func Start(mode StartMode) ModuleOption {
	return moduleOption{"Start", func(s *spec) {
		if mode < WhenEnabled || mode > OnFirstUse {
			s.invalid("Start(%d): allowed are orchestrator.WhenEnabled, orchestrator.AtBoot and orchestrator.OnFirstUse", mode)
		}
		s.start = mode
	}}
}

// IdleTimeout stops a module that starts OnFirstUse when nobody has called it for that long and no module that requires it
// runs; it is Idle then, and the next call starts it again. Zero, the default, lets it run. The engine looks eight times
// in each timeout, so the module stops up to an eighth later.
func IdleTimeout(d time.Duration) ModuleOption {
	return moduleOption{"IdleTimeout", func(s *spec) {
		if d < 0 {
			s.invalid("IdleTimeout(%v): allowed is a positive duration, or 0 for none", d)
		}
		s.idleTimeout = d
	}}
}

// Static makes a module that is decided once, while the app's graph is built: the app gets the real implementation itself,
// or the noop itself, without a proxy in between. Its constructors run as part of the app's graph, and only if the flag is on;
// its hooks run when the app starts and stops. A flag that changes later, or an override, shows as "restart required".
// As there is nothing to fall back to, a failure at boot fails the boot, as with OnFailure(Abort).
//
// A static module can't require others, because it is decided before they run; it may import what they export.
func Static() ModuleOption {
	return moduleOption{"Static", func(s *spec) { s.static = true }}
}

// ChangePolicy says how a running module is replaced when its variant or its settings change.
type ChangePolicy int

// The change policies.
const (
	// StartFirst is the default: the new copy is started while the old one serves, then calls are led to the new one, then
	// the old one is drained and stopped. If the new copy does not start, the old one goes on serving.
	StartFirst ChangePolicy = iota
	// StopFirst is for modules that own something that exists once, such as a port or a lock: the old copy is drained and
	// stopped before the new one starts. In between, the noop serves.
	StopFirst
)

// OnChange sets how a running module is replaced.
func OnChange(policy ChangePolicy) ModuleOption {
	return moduleOption{"OnChange", func(s *spec) {
		if policy != StartFirst && policy != StopFirst {
			s.invalid("OnChange(%d): allowed are orchestrator.StartFirst and orchestrator.StopFirst", policy)
		}
		s.onChange = policy
	}}
}

// validateModes finds options that contradict each other.
func (s *spec) validateModes() error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("module %q: "+format, append([]any{s.name}, args...)...))
	}
	if s.idleTimeout > 0 && s.start != OnFirstUse {
		wrong("IdleTimeout(%v) needs Start(orchestrator.OnFirstUse): nothing would start the module again", s.idleTimeout)
	}
	if s.static && s.start == OnFirstUse {
		wrong("Static() and Start(orchestrator.OnFirstUse) exclude each other: a static module is decided at boot")
	}
	if s.static && s.onFailureSet && s.onFailure == Degrade {
		wrong("Static() and OnFailure(orchestrator.Degrade) exclude each other: the app has the implementation itself, and no noop to fall back to")
	}
	if s.static && len(s.requires) > 0 {
		wrong("Static() and Requires(%q) exclude each other: a static module is decided before others run; import what it needs, or make it an ordinary module", s.requires)
	}
	if s.static && s.damping != (Damping{}) {
		wrong("Static() and Damping exclude each other: a static module is never switched")
	}
	return errors.Join(errs...)
}
