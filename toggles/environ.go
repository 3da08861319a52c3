package toggles

import (
	"slices"
	"strings"
)

const (
	levels         = "__" // separates the levels of a key in the name of a variable
	ownPrefix      = "SWITCHYARD_"
	variableToggle = ownPrefix + "TOGGLES" + levels
	variableKill   = ownPrefix + "DISABLE"
)

// variables reads the environment into one layer.
type variables struct {
	schema *shape
	prefix string         // of the app's settings
	known  map[string]any // values of the layers below: they know how free keys are spelled

	layer    layer
	kills    []Kill
	warnings []string
	errs     []error
	names    map[string]string // by path in lower case: the variable that sets it
}

func (v *variables) read(environ []string) {
	v.names = map[string]string{}
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case name == variableKill:
			v.kill(value)
		case strings.HasPrefix(name, variableToggle):
			v.set(name, []string{keyToggles, strings.TrimPrefix(name, variableToggle)}, value)
		case v.prefix != "" && strings.HasPrefix(name, v.prefix):
			v.set(name, strings.Split(strings.TrimPrefix(name, v.prefix), levels), value)
		case strings.HasPrefix(name, ownPrefix):
			v.warn(name)
		}
	}
}

func (v *variables) kill(value string) {
	for name := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '\t' || r == '\n' }) {
		v.kills = append(v.kills, Kill{Name: name, Source: "environment " + variableKill})
	}
}

// warn notices misspelled variables of our own. Others with the prefix belong to other parts.
func (v *variables) warn(name string) {
	if near, ok := nearest(name, []string{variableKill}); ok {
		v.warnings = append(v.warnings, "environment variable "+name+" is unknown; did you mean "+near+"?")
	} else if strings.HasPrefix(name, ownPrefix+"TOGGLE") {
		v.warnings = append(v.warnings, "environment variable "+name+" is unknown; did you mean "+variableToggle+"NAME?")
	}
}

func (v *variables) set(name string, segments []string, value string) {
	source := "environment variable " + name
	path, s, ok := v.find(segments)
	switch {
	case !ok && isServiceLink(segments):
		v.warnings = append(v.warnings, source+" is ignored: Kubernetes sets it for a Service (enableServiceLinks)")
		return
	case !ok:
		v.errs = append(v.errs, &ConfigError{Source: source, Message: "unknown setting" + v.suggest(name)})
		return
	case path[0] == keyEnvironments:
		v.errs = append(v.errs, &ConfigError{Source: source, Message: "an overlay can't be set by a variable; set the key itself"})
		return
	}
	key := strings.ToLower(dotted(path))
	if other, twice := v.names[key]; twice {
		v.errs = append(v.errs, &ConfigError{Source: source, Key: dotted(path), Message: "is also set by " + other + "; allowed: one of them"})
		return
	}
	v.names[key] = name
	d := &decoder{layer: LayerEnvironment, source: source, origin: func(int) string { return "environment " + name }}
	d.text(&v.layer, s, path, value, false)
	v.errs = append(v.errs, d.errs...)
}

// isServiceLink recognises the rest of PREFIX_SERVICE_HOST, PREFIX_SERVICE_PORT..., PREFIX_PORT and PREFIX_PORT_..., which
// Kubernetes adds to every pod in the namespace of a Service that has the app's name.
func isServiceLink(segments []string) bool {
	rest := strings.Join(segments, levels)
	return rest == "SERVICE_HOST" || rest == "PORT" || strings.HasPrefix(rest, "SERVICE_PORT") || strings.HasPrefix(rest, "PORT_")
}

// find returns the key that the segments name, in any case.
func (v *variables) find(segments []string) (path []string, s *shape, ok bool) {
	s = v.schema
	known := any(v.known)
	for i, segment := range segments {
		if segment == "" {
			return nil, nil, false
		}
		below, _ := known.(map[string]any)
		var name string
		switch s.kind {
		case group:
			if name, ok = fold(segment, s.names); !ok {
				return nil, nil, false
			}
			s = s.fields[name]
		case dict:
			s = s.elem
			last := s.kind != group && s.kind != dict
			if last {
				segment = strings.Join(segments[i:], levels)
			}
			if name, ok = fold(segment, keysOf(below)); !ok {
				name = segment // a flag that only the variable names: the gate finds it in any case
				if i == 0 || path[0] != keyToggles {
					name = strings.ToLower(segment)
				}
			}
			if last {
				return append(path, name), s, true
			}
		default:
			return nil, nil, false
		}
		path = append(path, name)
		known = below[name]
	}
	return path, s, len(path) > 0
}

// suggest names the nearest variable.
func (v *variables) suggest(name string) string {
	var candidates []string
	for _, path := range v.schema.paths(nil) {
		candidates = append(candidates, v.prefix+strings.ToUpper(strings.Join(path, levels)))
	}
	if near, ok := nearest(name, candidates); ok {
		return "; did you mean " + near + "?"
	}
	return "; allowed are the keys of a configuration file, for example " + candidates[0]
}

// fold returns the name that equals s if case doesn't count.
func fold(s string, names []string) (string, bool) {
	for _, name := range names {
		if strings.EqualFold(name, s) {
			return name, true
		}
	}
	return "", false
}

func keysOf(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
