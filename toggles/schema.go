package toggles

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// shape says what may stand at a key.
type shape struct {
	kind   kind
	names  []string          // group: keys in the order of the struct
	fields map[string]*shape // group
	elem   *shape            // dict and list
	leaf   leaf
}

type kind int

const (
	group kind = iota // fixed keys
	dict              // free keys, values of one shape
	list
	scalar
	free // anything
)

// Keys that every schema has.
const (
	keyToggles      = "toggles"
	keyContext      = "context"
	keyEnvironments = "environments"
	keyEnvironment  = "environment" // in context
	keyInstance     = "instance"    // in context
)

// schemaOf derives the shape of the configuration from the settings struct.
func schemaOf(t reflect.Type) (*shape, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("settings type %s: a struct is required", t)
	}
	var errs []error
	root := structShape(t, "", nil, &errs)
	root.set(keyToggles, &shape{kind: dict, elem: &shape{kind: scalar, leaf: toggleLeaf{}}})
	root.set(keyContext, &shape{kind: dict, elem: &shape{kind: scalar, leaf: contextLeaf{}}})
	overlay := &shape{kind: group, fields: map[string]*shape{}}
	for _, name := range root.names {
		if name != keyEnvironments {
			overlay.set(name, root.fields[name])
		}
	}
	root.set(keyEnvironments, &shape{kind: dict, elem: overlay})
	return root, errors.Join(errs...)
}

func (s *shape) set(name string, field *shape) {
	if _, exists := s.fields[name]; !exists {
		s.names = append(s.names, name)
	}
	s.fields[name] = field
}

func structShape(t reflect.Type, path string, outer []reflect.Type, errs *[]error) *shape {
	s := &shape{kind: group, fields: map[string]*shape{}}
	if slices.Contains(outer, t) {
		*errs = append(*errs, fmt.Errorf("settings type %s: %q contains itself", t, path))
		return s
	}
	outer = append(slices.Clone(outer), t)
	for field := range t.Fields() {
		name, squash := tag(field)
		switch {
		case !field.IsExported() || name == "-":
		case squash && field.Type.Kind() == reflect.Struct:
			inner := structShape(field.Type, path, outer, errs)
			for _, n := range inner.names {
				s.set(n, inner.fields[n])
			}
		case name == "" || strings.Contains(name, ".") || s.fields[name] != nil:
			*errs = append(*errs, fmt.Errorf(`settings type %s: field %s: the tag koanf:%q must be a key of its own without dots`, t, field.Name, name))
		default:
			s.set(name, typeShape(field.Type, join(path, name), outer, errs))
		}
	}
	return s
}

func tag(f reflect.StructField) (name string, squash bool) {
	name, options, _ := strings.Cut(f.Tag.Get("koanf"), ",")
	return name, slices.Contains(strings.Split(options, ","), "squash")
}

func typeShape(t reflect.Type, path string, outer []reflect.Type, errs *[]error) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return &shape{kind: scalar, leaf: durationLeaf{}}
	case isText(t):
		return &shape{kind: scalar, leaf: textLeaf{t}}
	}
	switch t.Kind() {
	case reflect.Struct:
		return structShape(t, path, outer, errs)
	case reflect.String:
		return &shape{kind: scalar, leaf: stringLeaf{}}
	case reflect.Bool:
		return &shape{kind: scalar, leaf: boolLeaf{}}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &shape{kind: scalar, leaf: intLeaf{t.Bits()}}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &shape{kind: scalar, leaf: uintLeaf{t.Bits()}}
	case reflect.Float32, reflect.Float64:
		return &shape{kind: scalar, leaf: floatLeaf{}}
	case reflect.Slice:
		return &shape{kind: list, elem: typeShape(t.Elem(), path, outer, errs)}
	case reflect.Map:
		if t.Key().Kind() == reflect.String {
			return &shape{kind: dict, elem: typeShape(t.Elem(), path, outer, errs)}
		}
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return &shape{kind: free}
		}
	}
	*errs = append(*errs, fmt.Errorf("settings: %q has the type %s, which can't be configured", path, t))
	return &shape{kind: free}
}

// isText reports whether a value of type t decodes itself from text.
func isText(t reflect.Type) bool {
	return t.Kind() != reflect.Interface && reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// paths returns the paths of all keys that hold a value, in the order of the struct.
func (s *shape) paths(prefix []string) [][]string {
	if s.kind != group {
		return [][]string{prefix}
	}
	var out [][]string
	for _, name := range s.names {
		out = append(out, s.fields[name].paths(append(slices.Clone(prefix), name))...)
	}
	return out
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func dotted(path []string) string { return strings.Join(path, ".") }
