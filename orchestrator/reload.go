package orchestrator

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Reload gives modules new settings. Each value takes the place of what the modules have imported from the app's graph for
// the value's type (by type alone, without name or group); modules for which it differs, by reflect.DeepEqual, are replaced
// if they run, as OnChange says, and start with it otherwise. Consumers of the app's graph itself keep what they have.
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
					imports[at].value, imports[at].missing = reflect.ValueOf(value), false
					changed = append(changed, i.key.typ.String())
				}
			}
		}
		if len(changed) == 0 {
			continue
		}
		o.events.add(SettingsChanged{Module: m.spec.name, Types: changed})
		o.log.Info("settings changed", "module", m.spec.name, "types", changed)
		if m.spec.static {
			m.misconfigured = "; restart required: its settings changed: " + strings.Join(changed, ", ")
			continue
		}
		m.imports = imports
		o.versions++
		m.settings = o.versions
		if m.graph != nil && sameImports(m.graph.imports, imports) {
			m.settings = m.graph.settings // back to what runs
		}
	}
	return nil
}

func (i imported) takes(value any) bool {
	return i.key.identity() == key{typ: reflect.TypeOf(value)}
}

func sameImports(a, b []imported) bool {
	return slices.EqualFunc(a, b, func(x, y imported) bool { return reflect.DeepEqual(x.value.Interface(), y.value.Interface()) })
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
