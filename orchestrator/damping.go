package orchestrator

import (
	"fmt"
	"slices"
	"time"
)

// Damping keeps a module from flapping, be it that its flag flips or that it fails again and again. It holds back starts
// only: switching off always takes effect at once. The reason of a module that is held back says until when. An override
// is not held back.
type Damping struct {
	// Dwell is how long the module stays off, or as it is, after each switch before it is started or replaced again.
	Dwell time.Duration
	// Switches is how often the module is started or replaced within one hour at most; 0 is unlimited.
	Switches int
}

func (d Damping) applyModule(s *spec) {
	moduleOption{"Damping", func(s *spec) {
		if d.Dwell < 0 {
			s.invalid("Damping.Dwell: %v is negative", d.Dwell)
		}
		if d.Switches < 0 {
			s.invalid("Damping.Switches: %d is negative", d.Switches)
		}
		s.damping = d
	}}.applyModule(s)
}

// dampingWindow is the time in which Damping.Switches counts.
const dampingWindow = time.Hour

// held returns until when the module must not be started or replaced because of a decision, and why; the zero time: it may be.
func (m *module) held(by Decision, now time.Time) (until time.Time, why string) {
	d := m.spec.damping
	if by.Layer == layerOverride {
		return time.Time{}, ""
	}
	m.starts = slices.DeleteFunc(m.starts, func(at time.Time) bool { return now.Sub(at) >= dampingWindow })
	if d.Switches > 0 && len(m.starts) >= d.Switches {
		until = m.starts[len(m.starts)-d.Switches].Add(dampingWindow)
		why = fmt.Sprintf("it was started %d times within an hour, which is its limit", len(m.starts))
	}
	if dwell := m.switchedAt.Add(d.Dwell); d.Dwell > 0 && !m.switchedAt.IsZero() && now.Before(dwell) && dwell.After(until) {
		until, why = dwell, fmt.Sprintf("it stays as it is for %v after a switch", d.Dwell)
	}
	if until.IsZero() {
		return until, ""
	}
	return until, fmt.Sprintf("held until %s, because %s", until.Format(time.TimeOnly), why)
}

// started counts a start or a replacement.
func (m *module) started(now time.Time) {
	m.switchedAt = now
	if m.spec.damping.Switches > 0 {
		m.starts = append(m.starts, now)
	}
}
