package toggles

import (
	"slices"
	"strings"
)

// readSets reads "key=value" arguments into one layer. Later ones win.
func readSets(sets []string, schema *shape) (layer, []error) {
	var l layer
	var errs []error
	for _, set := range sets {
		source := "--set " + set
		key, value, ok := strings.Cut(set, "=")
		if !ok || key == "" {
			errs = append(errs, &ConfigError{Source: source, Message: "is not an assignment; allowed: key=value, for example " + example(schema)})
			continue
		}
		d := &decoder{layer: LayerOverride, source: source, origin: func(int) string { return "--set " + key }}
		path, s, err := find(schema, key)
		switch {
		case err != "":
			errs = append(errs, &ConfigError{Source: source, Key: key, Message: err})
			continue
		case path[0] == keyEnvironments:
			errs = append(errs, &ConfigError{Source: source, Key: key, Message: "an overlay can't be set here; set the key itself"})
			continue
		}
		d.text(&l, s, path, value, true)
		errs = append(errs, d.errs...)
	}
	return l, errs
}

// example shows an assignment to the first key that holds a single value.
func example(schema *shape) string {
	for _, path := range schema.paths(nil) {
		if _, s, _ := find(schema, dotted(path)); s != nil && s.kind == scalar {
			return dotted(path) + "=..."
		}
	}
	return "toggles.NAME=true"
}

// find returns the key with this path; else what is wrong. Below a mapping with free keys, the rest of the path is one key.
func find(schema *shape, key string) (path []string, s *shape, problem string) {
	s = schema
	rest, more := key, true
	for more {
		var name string
		switch s.kind {
		case dict:
			if s = s.elem; s.kind == group || s.kind == dict {
				name, rest, more = strings.Cut(rest, ".")
			} else {
				name, more = rest, false
			}
			if name == "" {
				return nil, nil, "a key must not be empty"
			}
		case group:
			name, rest, more = strings.Cut(rest, ".")
			field, ok := s.fields[name]
			if !ok {
				return nil, nil, "unknown key" + (&decoder{}).suggest(s, append(slices.Clone(path), name))
			}
			s = field
		default:
			return nil, nil, "unknown key; " + dotted(path) + " has no keys"
		}
		path = append(path, name)
	}
	return path, s, ""
}
