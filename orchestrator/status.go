package orchestrator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Status returns the status of every module, sorted by name.
func (o *Orchestrator) Status() []Status {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]Status, 0, len(o.modules))
	for _, m := range o.modules {
		all = append(all, m.status())
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Explain says why a module is in its state. The error is an *UnknownModuleError if the app has no module of that name.
func (o *Orchestrator) Explain(name string) (Explanation, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, err := o.find(name)
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{
		Status: m.status(), Decision: m.decision, Requirements: []Requirement{},
		Variants: append([]string{}, m.spec.variantNames()...), History: append([]Transition{}, m.history...),
	}
	if m.override != nil {
		copied := *m.override
		e.Override = &copied
	}
	for _, r := range m.requires {
		e.Requirements = append(e.Requirements, Requirement{Module: r.spec.name, Kind: RequiresEdge, State: r.state, OK: r.state == Running && !r.leaving, Reason: r.reason})
	}
	for _, u := range m.uses {
		e.Requirements = append(e.Requirements, Requirement{Module: u.spec.name, Kind: UsesEdge, State: u.state, OK: true, Reason: u.reason})
	}
	slices.SortFunc(e.Requirements, func(a, b Requirement) int { return strings.Compare(a.Module, b.Module) })
	return e, nil
}

// Events returns the log of what happened to the modules since the app was built.
func (o *Orchestrator) Events() *EventLog { return o.events }

// Decisions returns the decisions in force for the flags of all modules, overrides included, sorted by flag, then module. Before the app
// starts, they are those of the gate.
func (o *Orchestrator) Decisions() []FlagDecision {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]FlagDecision, 0, len(o.modules))
	for _, m := range o.modules {
		all = append(all, FlagDecision{Module: m.spec.name, Decision: m.decision})
	}
	slices.SortFunc(all, func(a, b FlagDecision) int {
		return strings.Compare(a.Flag+"\x00"+a.Module, b.Flag+"\x00"+b.Module)
	})
	return all
}

// find returns the module of that name, or an *UnknownModuleError. The caller holds mu.
func (o *Orchestrator) find(name string) (*module, error) {
	i := slices.IndexFunc(o.modules, func(m *module) bool { return m.spec.name == name })
	if i < 0 {
		known := make([]string, 0, len(o.modules))
		for _, m := range o.modules {
			known = append(known, m.spec.name)
		}
		slices.Sort(known)
		return nil, &UnknownModuleError{Name: name, Known: known}
	}
	return o.modules[i], nil
}

// UnknownModuleError says that the app has no module of a name.
type UnknownModuleError struct {
	Name  string
	Known []string // the modules that the app has, sorted
}

func (e *UnknownModuleError) Error() string {
	return fmt.Sprintf("unknown module %q (the app has %q)", e.Name, e.Known)
}

// The words for what a call reaches in a module without variants.
const (
	implementationReal = "real"
	implementationNoop = "noop"
)

func (m *module) status() Status {
	s := Status{
		Name:           m.spec.name,
		State:          m.state,
		Implementation: implementationNoop,
		Flag:           m.spec.flag,
		Desired:        variantOff,
		Reason:         m.reason + m.misconfigured,
		Variant:        m.decision.Variant,
		Source:         m.decision.Source,
		Since:          m.since,
		Generation:     m.generation,
		Leases:         m.leases(),
		Requires:       names(m.requires),
		Uses:           names(m.uses),
		NoopCalls:      m.noopCalls(),
	}
	if m.state == Running {
		s.Implementation = m.serves(m.graph.implementation)
	}
	if m.decision.Enabled {
		s.Desired = variantOn
		if i := m.spec.implementation(m.decision.Variant); i != nil {
			s.Desired = i.name
		}
	}
	if m.lastError != nil {
		s.Error = m.lastError.Error()
	}
	return s
}

// serves is an implementation in the words of the status.
func (m *module) serves(i *implementation) string {
	if len(m.spec.variants) == 0 {
		return implementationReal
	}
	return i.name
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
