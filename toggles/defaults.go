package toggles

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"time"
)

// defaultsOf turns the settings struct into the lowest layer. Nil slices, maps and pointers are left out, so that they
// stay nil where nobody sets them.
func defaultsOf(v reflect.Value) (map[string]any, error) {
	m := map[string]any{}
	for field, value := range v.Fields() {
		name, squash := tag(field)
		if !field.IsExported() || name == "-" {
			continue
		}
		converted, err := defaultOf(value)
		if err != nil {
			return nil, fmt.Errorf("default of %s.%s: %w", v.Type(), field.Name, err)
		}
		inner, isMap := converted.(map[string]any)
		switch {
		case squash && isMap:
			maps.Copy(m, inner)
		case converted != nil:
			m[name] = converted
		}
	}
	return m, nil
}

func defaultOf(v reflect.Value) (any, error) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil, nil
		}
		v = v.Elem()
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		return time.Duration(v.Int()).String(), nil
	case isText(v.Type()):
		return textOf(v)
	}
	switch v.Kind() {
	case reflect.Struct:
		return defaultsOf(v)
	case reflect.Map:
		if v.IsNil() {
			return nil, nil
		}
		m := map[string]any{}
		for _, key := range v.MapKeys() {
			value, err := defaultOf(v.MapIndex(key))
			if err != nil {
				return nil, err
			}
			m[key.String()] = value
		}
		return m, nil
	case reflect.Slice:
		if v.IsNil() {
			return nil, nil
		}
		out := make([]any, v.Len())
		for i := range out {
			value, err := defaultOf(v.Index(i))
			if err != nil {
				return nil, err
			}
			out[i] = value
		}
		return out, nil
	default:
		return v.Interface(), nil
	}
}

// textOf encodes a value that decodes itself from text. The zero value is left out: not every type can write it.
func textOf(v reflect.Value) (any, error) {
	if v.IsZero() {
		return nil, nil
	}
	pointer := reflect.New(v.Type())
	pointer.Elem().Set(v)
	m, ok := reflect.TypeAssert[encoding.TextMarshaler](pointer)
	if !ok {
		return nil, fmt.Errorf("%s has no method MarshalText", v.Type())
	}
	text, err := m.MarshalText()
	return string(text), err
}
