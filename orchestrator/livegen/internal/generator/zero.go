package generator

import (
	"go/types"
)

// zero writes the zero value of a type.
func (im *imports) zero(t types.Type) string {
	if _, ok := types.Unalias(t).(*types.TypeParam); ok {
		return "*new(" + im.write(t) + ")"
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		switch {
		case u.Info()&types.IsBoolean != 0:
			return "false"
		case u.Info()&types.IsString != 0:
			return `""`
		case u.Info()&types.IsNumeric != 0:
			return "0"
		}
	case *types.Struct, *types.Array:
		return im.write(t) + "{}"
	}
	return "nil"
}

// unanswerable says why a noop without an error result has no value of type t that a caller can use safely. It is empty if
// there is one.
func unanswerable(t types.Type) string {
	if _, ok := types.Unalias(t).(*types.TypeParam); ok {
		return ""
	}
	switch u := t.Underlying().(type) {
	case *types.Chan:
		if u.Dir() == types.SendOnly {
			return "a caller would send to it for ever"
		}
	case *types.Signature:
		for v := range u.Results().Variables() {
			if what := unanswerable(v.Type()); what != "" {
				return what
			}
		}
	case *types.Interface:
		if u.NumMethods() > 0 && !isError(t) && !isReader(u) && !isReadCloser(u) {
			return "a caller would call methods of nil"
		}
	}
	return ""
}
