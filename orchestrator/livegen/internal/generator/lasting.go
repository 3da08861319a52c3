package generator

import (
	"fmt"
	"go/types"
)

// lasting says what in a value of type t outlives the call that returned it: something to be closed, received from, called
// or read. It is empty for plain data. It looks at what code that has the value can reach without a method: elements, and
// exported fields.
func lasting(t types.Type) string { return (&lastingSearch{seen: map[types.Type]bool{}}).in(t, "it") }

type lastingSearch struct{ seen map[types.Type]bool }

func (l *lastingSearch) in(t types.Type, path string) string {
	t = types.Unalias(t)
	if l.seen[t] {
		return ""
	}
	l.seen[t] = true
	if _, ok := t.(*types.TypeParam); ok {
		return ""
	}
	if _, named := t.(*types.Named); (named || types.IsInterface(t)) && hasClose(t) {
		return path + " has a method Close"
	}
	switch u := t.Underlying().(type) {
	case *types.Chan:
		return path + " is a channel"
	case *types.Signature:
		return path + " is a function"
	case *types.Interface:
		if isReader(u) {
			return path + " is a reader"
		}
	case *types.Pointer:
		return l.in(u.Elem(), path)
	case *types.Slice:
		return l.in(u.Elem(), "an element of "+path)
	case *types.Array:
		return l.in(u.Elem(), "an element of "+path)
	case *types.Map:
		if what := l.in(u.Key(), "a key of "+path); what != "" {
			return what
		}
		return l.in(u.Elem(), "an element of "+path)
	case *types.Struct:
		for f := range u.Fields() {
			if !f.Exported() {
				continue
			}
			if what := l.in(f.Type(), fmt.Sprintf("field %s of %s", f.Name(), path)); what != "" {
				return what
			}
		}
	}
	return ""
}

// hasClose reports whether a value of type t, or a pointer to one, is to be closed.
func hasClose(t types.Type) bool {
	if !types.IsInterface(t) {
		t = types.NewPointer(t)
	}
	object, _, _ := types.LookupFieldOrMethod(t, false, nil, "Close")
	fn, ok := object.(*types.Func)
	return ok && fn.Signature().Params().Len() == 0
}
