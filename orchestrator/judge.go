package orchestrator

import "fmt"

// verdict is what the decisions ask of a module. It depends on the decisions alone, not on what runs, so that a plan comes
// to the same one as the reconciler.
type verdict struct {
	wanted         bool            // by its flag, and nothing that it requires is unwanted
	implementation *implementation // when wanted
	rest           State           // when not wanted: Off, NotLinked or Waiting
	why            string
}

// judge returns the verdict for each module. decisions are in the order of the modules: requirements first.
func (o *Orchestrator) judge(decisions []Decision) []verdict {
	verdicts := make([]verdict, len(o.modules))
	for i, m := range o.modules {
		verdicts[i] = m.judge(decisions[i], verdicts)
	}
	return verdicts
}

// judge decides on one module, given the verdicts on those that it requires.
func (m *module) judge(d Decision, verdicts []verdict) verdict {
	restart := ""
	if m.frozen != nil {
		if d.Enabled != m.frozen.Enabled || d.Enabled && m.spec.implementation(d.Variant) != m.spec.implementation(m.frozen.Variant) {
			restart = fmt.Sprintf("; restart required: %s, but the module was decided when the app was built", m.says(d))
		}
		d = *m.frozen
	}
	why := m.says(d) + restart
	switch {
	case !d.Enabled:
		return verdict{rest: Off, why: why}
	case !m.spec.understands(d):
		return verdict{rest: Off, why: fmt.Sprintf("flag %q asks for the variant %q, which the module does not have (allowed: %s)%s", m.spec.flag, d.Variant, m.spec.allowed(), restart)}
	case !m.spec.linked():
		return verdict{rest: NotLinked, why: why + ", but this binary holds only the noop of the module"}
	case m.missedBoot:
		return verdict{rest: Off, why: why + "; restart required: the module starts at boot only"}
	}
	for _, r := range m.requires {
		if v := verdicts[r.index]; !v.wanted {
			return verdict{rest: Waiting, why: fmt.Sprintf("%s, but it requires %q: %s", why, r.spec.name, v.why)}
		}
	}
	return verdict{wanted: true, implementation: m.spec.implementation(d.Variant), why: why}
}

// says is what decided that the module is to be on or off, in words. The caller holds mu.
func (m *module) says(d Decision) string {
	if d.Layer == layerOverride {
		return d.Source
	}
	what := variantOff
	if d.Enabled {
		what = variantOn
		if i := m.spec.implementation(d.Variant); i != nil {
			what = i.name
		}
	}
	if m.said.what != what || m.said.source != d.Source {
		m.said = said{what, d.Source, fmt.Sprintf("flag %q is %s (%s)", m.spec.flag, what, d.Source)}
	}
	return m.said.text
}

// said is the last sentence of says: it is asked for in each pass, and seldom another one.
type said struct{ what, source, text string }

// codeTypeMismatch is OpenFeature's error code for a flag whose value is of no use to who asks.
const codeTypeMismatch = "TYPE_MISMATCH"

// inForce is the decision that counts when the gate says d and an operator says v (nil: nothing). If the gate asks for a
// variant that the module doesn't have, its last good decision holds, and misread says so. The caller holds mu.
func (m *module) inForce(d Decision, v *Override) (in Decision, misread string) {
	if v != nil && d.Layer != layerKillList {
		return v.decision(d), ""
	}
	if m.spec.understands(d) {
		return d, ""
	}
	d.ErrorCode, d.Error = codeTypeMismatch, fmt.Sprintf("value %v (%s): allowed: %s", d.Value, d.Source, m.spec.allowed())
	if m.good == nil {
		return d, ""
	}
	held := *m.good
	held.ErrorCode, held.Error = d.ErrorCode, d.Error
	return held, fmt.Sprintf("; it now asks for the variant %q (%s), which the module does not have (allowed: %s), so the last good decision holds", d.Variant, d.Source, m.spec.allowed())
}

// take makes a decision of the gate the one in force. The caller holds mu.
func (o *Orchestrator) take(m *module, d Decision) {
	if m.spec.understands(d) {
		good := d
		m.good = &good
	}
	d, m.misread = m.inForce(d, m.override)
	if from := m.decision; m.decided && (from.Enabled != d.Enabled || from.Variant != d.Variant || from.Layer != d.Layer || from.Source != d.Source) {
		o.events.add(DecisionChanged{Module: m.spec.name, From: from, To: d})
	}
	m.decision, m.decided = d, true
	if m.spec.start == AtBoot && o.booted && !m.asked() {
		m.missedBoot = true
	}
}

// asked reports whether the decision in force asks for an implementation.
func (m *module) asked() bool { return m.decision.Enabled && m.spec.understands(m.decision) }

// decisions asks the gate for the decision on each module, in the order of the modules. The caller must not hold mu: the
// gate may notify under a lock of its own, which leads to poke.
func (o *Orchestrator) decisions() []Decision {
	decisions := make([]Decision, len(o.modules))
	for i, m := range o.modules {
		decisions[i] = o.gate.Decide(m.spec.flag)
	}
	return decisions
}
