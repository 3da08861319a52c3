package orchestrator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

func byName(a, b *module) int { return strings.Compare(a.spec.name, b.spec.name) }

func names(modules []*module) []string {
	list := make([]string, 0, len(modules))
	for _, m := range modules {
		list = append(list, m.spec.name)
	}
	return list
}

// link resolves the edges between modules, and puts the modules in their order: what is required or used comes before who
// requires or uses it, ties by name. An unknown name, an edge to itself and a cycle are errors.
func (o *Orchestrator) link() error {
	byTitle := make(map[string]*module, len(o.modules))
	exporters := map[any]*module{}
	for _, m := range o.modules {
		byTitle[m.spec.name] = m
		for _, e := range m.spec.exports {
			exporters[e.typ], exporters[e.liveType] = m, m
		}
	}
	var errs []error
	resolve := func(m *module, option string, titles []string) (found []*module) {
		for _, title := range titles {
			other, ok := byTitle[title]
			switch {
			case !ok:
				errs = append(errs, fmt.Errorf("module %q: %s(%q): there is no such module (the app has %q)", m.spec.name, option, title, names(o.modules)))
			case other == m:
				errs = append(errs, fmt.Errorf("module %q: %s(%q): a module can't depend on itself", m.spec.name, option, title))
			case !slices.Contains(found, other):
				found = append(found, other)
			}
		}
		slices.SortFunc(found, byName)
		return found
	}
	for _, m := range o.modules {
		m.requires = resolve(m, "Requires", m.spec.requires)
		m.uses = resolve(m, "Uses", m.spec.uses)
		for _, i := range m.imports {
			other := exporters[i.key.typ]
			if other != nil && other != m && !slices.Contains(m.uses, other) {
				m.uses = append(m.uses, other)
			}
		}
		m.uses = slices.DeleteFunc(m.uses, func(u *module) bool { return slices.Contains(m.requires, u) })
		slices.SortFunc(m.uses, byName)
	}
	order, cycle := sortByEdges(o.modules)
	if cycle != nil {
		errs = append(errs, fmt.Errorf("modules depend on each other in a circle: %s", strings.Join(cycle, " -> ")))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	o.modules = order
	for i, m := range o.modules {
		m.index = i
		for _, r := range m.requires {
			r.requiredBy = append(r.requiredBy, m)
		}
		for _, u := range m.uses {
			u.usedBy = append(u.usedBy, m)
		}
	}
	return nil
}

// sortByEdges returns the modules, given sorted by name, with dependencies first, or the path of a cycle.
func sortByEdges(modules []*module) (order []*module, cycle []string) {
	const (
		visiting = 1
		done     = 2
	)
	marks := make(map[*module]int, len(modules))
	var path []string
	var visit func(m *module) bool
	visit = func(m *module) bool {
		switch marks[m] {
		case done:
			return true
		case visiting:
			cycle = append(slices.Clone(path[slices.Index(path, m.spec.name):]), m.spec.name)
			return false
		}
		marks[m] = visiting
		path = append(path, m.spec.name)
		edges := append(slices.Clone(m.requires), m.uses...)
		slices.SortFunc(edges, byName)
		for _, e := range edges {
			if !visit(e) {
				return false
			}
		}
		path = path[:len(path)-1]
		marks[m] = done
		order = append(order, m)
		return true
	}
	for _, m := range modules {
		if !visit(m) {
			return nil, cycle
		}
	}
	return order, nil
}
