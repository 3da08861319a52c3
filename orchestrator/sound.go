package orchestrator

import (
	"reflect"
	"slices"

	"go.uber.org/fx"
)

// sound reports whether the private graph can certainly be built: it has plain constructors only, all that they need, from
// one place each, and no cycle. False says nothing: then the container decides, and tells what is wrong. Asking the container
// takes a hundred times as long, for which an app with a thousand modules would have to wait.
func (b *blueprint) sound() bool {
	if len(b.implementation.options) > 0 {
		return false
	}
	s := soundness{from: map[key]int{}}
	for _, t := range suppliedByEngine() {
		if t != reflect.TypeFor[error]() {
			s.from[key{typ: t}] = supplied
		}
	}
	for _, i := range b.received() {
		if !s.provide(i.key, supplied) {
			return false
		}
	}
	for _, c := range b.implementation.constructors {
		if !s.add(reflect.TypeOf(c)) {
			return false
		}
	}
	var wanted []key
	for _, e := range b.exports {
		wanted = append(wanted, key{typ: e.typ})
	}
	for _, h := range b.implementation.health {
		wanted = append(wanted, key{typ: h.typ})
	}
	return s.complete(wanted)
}

// soundness is what is known about a graph of which everything is understood so far.
type soundness struct {
	from  map[key]int // the index of the constructor, or supplied
	needs [][]key     // of each constructor
	state []visit
}

const supplied = -1

type visit int

const (
	unseen visit = iota
	entered
	left
)

// add takes a constructor in. It reports whether it is a plain one.
func (s *soundness) add(t reflect.Type) bool {
	if t == nil || t.Kind() != reflect.Func || t.IsVariadic() {
		return false
	}
	var needs []key
	for in := range t.Ins() {
		more, ok := parametersOf(in)
		if !ok {
			return false
		}
		needs = append(needs, more...)
	}
	provides := false
	for out := range t.Outs() {
		if out == reflect.TypeFor[error]() {
			continue
		}
		if !isPlain(out) || !s.provide(key{typ: out}, len(s.needs)) {
			return false
		}
		provides = true
	}
	s.needs, s.state = append(s.needs, needs), append(s.state, unseen)
	return provides
}

// provide notes who provides a value. It reports whether nobody else does.
func (s *soundness) provide(k key, from int) bool {
	k = k.identity()
	if _, twice := s.from[k]; twice || k.group != "" || !isPlain(k.typ) || k.name != "" && !identifier.MatchString(k.name) {
		return false
	}
	s.from[k] = from
	return true
}

// complete reports whether all that is wanted can be made, and no constructor needs its own result.
func (s *soundness) complete(wanted []key) bool {
	for _, k := range wanted {
		if _, ok := s.from[k]; !ok {
			return false
		}
	}
	for i := range s.needs {
		if !s.enter(i) {
			return false
		}
	}
	return true
}

// enter asks for more than the container does: that also constructors that nobody needs have what they need.
func (s *soundness) enter(i int) bool {
	switch {
	case i == supplied || s.state[i] == left:
		return true
	case s.state[i] == entered:
		return false
	}
	s.state[i] = entered
	for _, k := range s.needs[i] {
		from, ok := s.from[k.identity()]
		if !ok && k.optional {
			continue
		}
		if !ok || !s.enter(from) {
			return false
		}
	}
	s.state[i] = left
	return true
}

// parametersOf is keysOf for a parameter, if everything in it is understood.
func parametersOf(t reflect.Type) (needs []key, ok bool) {
	if !isParameterObject(t) {
		return []key{{typ: t}}, isPlain(t)
	}
	for f := range t.Fields() {
		switch {
		case f.Type == reflect.TypeFor[fx.In]():
			if f.Tag != "" {
				return nil, false
			}
			continue
		case !f.IsExported(), f.Tag.Get("group") != "", !slices.Contains([]string{"", "true", "false"}, f.Tag.Get("optional")):
			return nil, false
		case isParameterObject(f.Type):
			more, ok := parametersOf(f.Type)
			if !ok {
				return nil, false
			}
			needs = append(needs, more...)
		case !isPlain(f.Type):
			return nil, false
		default:
			needs = append(needs, key{typ: f.Type, name: f.Tag.Get("name"), optional: f.Tag.Get("optional") == "true"})
		}
	}
	return needs, true
}

// isPlain reports whether the container takes a type for what it is: neither for a parameter object or a result object, nor
// for one that is written wrong.
func isPlain(t reflect.Type) bool {
	if t == reflect.TypeFor[fx.Annotated]() {
		return false
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return !isMarker(t) && !embedsMarker(t)
}

func embedsMarker(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for f := range t.Fields() {
		if !f.Anonymous {
			continue
		}
		if isMarker(f.Type) || f.Type.Kind() == reflect.Pointer && isMarker(f.Type.Elem()) || embedsMarker(f.Type) {
			return true
		}
	}
	return false
}
