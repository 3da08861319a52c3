package orchestrator

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Reload gives modules new settings. Each value takes the place of what the modules have imported from the app's graph for
// the value's type (by type alone, without name or group); modules for which it differs, by reflect.DeepEqual (for which
// functions always differ), are replaced if they run, as OnChange says, and start with it otherwise. Consumers of the app's graph itself keep what they have.
//
// It returns as soon as the values are recorded; the replacements follow, see Settled. If one value is wrong, none is
// recorded: a type that no module imports, nil, or a type that is given twice.
func (o *Orchestrator) Reload(values ...any) error {
	defer o.poke()
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.checkReload(values); err != nil {
		return err
	}
	for _, m := range o.modules {
		var changed []string
		imports := slices.Clone(m.imports)
		for _, value := range values {
			for at, i := range imports {
				if i.takes(value) && !reflect.DeepEqual(i.value.Interface(), value) {
					o.versions++
					imports[at].value, imports[at].missing, imports[at].version = reflect.ValueOf(value), false, o.versions
					changed = append(changed, i.key.typ.String())
				}
			}
		}
		if len(changed) == 0 {
			continue
		}
		o.events.add(SettingsChanged{Module: m.spec.name, Types: changed})
		o.log.Info("settings changed", "module", m.spec.name, "types", changed)
		m.reconfigure(imports, o.versions)
	}
	return nil
}

// reconfigure makes imports the values that the module is to be made of. It concerns the implementations that import what
// has changed.
func (m *module) reconfigure(imports []imported, version uint64) {
	before := m.imports
	m.imports = imports
	if m.spec.static {
		m.misconfigured = ""
		if changed := changedImports(m.builtWith, imports); len(changed) > 0 {
			m.misconfigured = "; restart required: its settings changed: " + strings.Join(changed, ", ")
		}
		return
	}
	for _, i := range m.spec.implementations {
		switch {
		case m.graph != nil && m.graph.implementation == i && i.sameImports(m.graph.imports, imports):
			m.settings[i] = m.graph.settings // back to what runs
		case !i.sameImports(before, imports):
			m.settings[i] = version
		}
	}
}

func (i imported) takes(value any) bool {
	return i.key.identity() == key{typ: reflect.TypeOf(value)}
}

// sameImports reports whether the implementation gets the same from both. A value that was not reloaded is the same, even if
// it can't be compared.
func (i *implementation) sameImports(a, b []imported) bool {
	return slices.EqualFunc(a, b, func(x, y imported) bool {
		imports := slices.ContainsFunc(i.imports, func(k key) bool { return k.identity() == x.key.identity() })
		return !imports || x.version == y.version || reflect.DeepEqual(x.value.Interface(), y.value.Interface())
	})
}

// changedImports names the types of which the values differ.
func changedImports(before, now []imported) []string {
	var changed []string
	for at, i := range now {
		if i.version != before[at].version && !reflect.DeepEqual(i.value.Interface(), before[at].value.Interface()) {
			changed = append(changed, i.key.typ.String())
		}
	}
	return changed
}

func (o *Orchestrator) checkReload(values []any) error {
	var errs []error
	seen := map[reflect.Type]bool{}
	for _, value := range values {
		t := reflect.TypeOf(value)
		switch {
		case t == nil || isNillable(t) && reflect.ValueOf(value).IsNil():
			errs = append(errs, fmt.Errorf("reload: a value of type %v is nil", t))
		case seen[t]:
			errs = append(errs, fmt.Errorf("reload: %v is given twice", t))
		case !slices.ContainsFunc(o.modules, func(m *module) bool {
			return slices.ContainsFunc(m.imports, func(i imported) bool { return i.takes(value) })
		}):
			errs = append(errs, fmt.Errorf("reload: no module imports %v", t))
		}
		seen[t] = true
	}
	return errors.Join(errs...)
}
