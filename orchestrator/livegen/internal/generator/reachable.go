package generator

import (
	"fmt"
	"go/token"
	"go/types"
	"path"
	"slices"
	"strings"
)

// reachable refuses types that code of the package can't write. pos is where they are used.
func (s *source) reachable(t types.Type, pos token.Pos) error {
	var wrong error
	walk(t, func(t types.Type) {
		if wrong != nil {
			return
		}
		switch t := t.(type) {
		case *types.Basic:
			if t.Kind() == types.Invalid {
				wrong = fmt.Errorf("a type can't be resolved: %w", s.reason(pos))
			}
		case *types.Named:
			wrong = s.reachableName(t.Obj())
		case *types.Alias:
			if wrong = s.reachableName(t.Obj()); wrong == nil && isInvalid(types.Unalias(t)) {
				wrong = fmt.Errorf("type %q can't be resolved: %w", t.Obj().Name(), s.reason(t.Obj().Pos()))
			}
		case *types.Struct:
			for f := range t.Fields() {
				if !f.Exported() && f.Pkg() != s.local && wrong == nil {
					wrong = fmt.Errorf("field %q of a struct is not exported from %q", f.Name(), f.Pkg().Path())
				}
			}
		case *types.Interface:
			for fn := range t.ExplicitMethods() {
				if !fn.Exported() && fn.Pkg() != s.local && wrong == nil {
					wrong = fmt.Errorf("method %q of an interface is not exported from %q", fn.Name(), fn.Pkg().Path())
				}
			}
		}
	})
	return wrong
}

func (s *source) reachableName(name *types.TypeName) error {
	switch {
	case name.Pkg() == nil || name.Pkg() == s.local:
		return nil
	case !name.Exported():
		return fmt.Errorf("type %q is not exported from %q", name.Name(), name.Pkg().Path())
	case name.Pkg().Name() == "main":
		return fmt.Errorf("type %q is in a program, %q, which can't be imported", name.Name(), name.Pkg().Path())
	case !mayImport(s.local.Path(), name.Pkg().Path()):
		return fmt.Errorf("type %q is in %q, which is internal to another part of the tree", name.Name(), name.Pkg().Path())
	}
	return nil
}

// mayImport is the go command's rule: what is below internal/ is for what is below the folder that internal/ is in.
func mayImport(from, what string) bool {
	parts := strings.Split(what, "/")
	for i, part := range slices.Backward(parts) {
		if part == "internal" {
			root := path.Join(parts[:i]...)
			return from == root || strings.HasPrefix(from, root+"/")
		}
	}
	return true
}

// walk calls visit for every type that is written when t is.
func walk(t types.Type, visit func(types.Type)) {
	visit(t)
	switch t := t.(type) {
	case *types.Named:
		for a := range t.TypeArgs().Types() {
			walk(a, visit)
		}
	case *types.Alias:
		for a := range t.TypeArgs().Types() {
			walk(a, visit)
		}
	case *types.Pointer:
		walk(t.Elem(), visit)
	case *types.Slice:
		walk(t.Elem(), visit)
	case *types.Array:
		walk(t.Elem(), visit)
	case *types.Chan:
		walk(t.Elem(), visit)
	case *types.Map:
		walk(t.Key(), visit)
		walk(t.Elem(), visit)
	case *types.Tuple:
		for v := range t.Variables() {
			walk(v.Type(), visit)
		}
	case *types.Signature:
		walk(t.Params(), visit)
		walk(t.Results(), visit)
	case *types.Struct:
		for f := range t.Fields() {
			walk(f.Type(), visit)
		}
	case *types.Interface:
		for fn := range t.ExplicitMethods() {
			walk(fn.Signature(), visit)
		}
		for e := range t.EmbeddedTypes() {
			walk(e, visit)
		}
	case *types.Union:
		for term := range t.Terms() {
			walk(term.Type(), visit)
		}
	}
}
