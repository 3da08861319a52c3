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
	return Explanation{Status: m.status(), Decision: m.decision, Override: m.override, History: append([]Transition{}, m.history...)}, nil
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

func (m *module) status() Status {
	s := Status{
		Name:           m.spec.name,
		State:          m.state,
		Implementation: "noop",
		Flag:           m.spec.flag,
		Desired:        "off",
		Reason:         m.reason,
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
		s.Implementation = "real"
	}
	if m.decision.Enabled {
		s.Desired = "on"
	}
	if m.lastError != nil && m.state != Running {
		s.Error = m.lastError.Error()
	}
	return s
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
