package generator

import (
	"errors"
	"fmt"
	"go/token"
	"go/types"
	"strings"
)

// contract is an interface to generate for.
type contract struct {
	name       string
	object     *types.TypeName
	typ        types.Type // with its own type parameters, if it has some
	parameters *types.TypeParamList
	methods    []*method

	declarations
}

// find looks an interface up. at adds to an error where it was asked for.
func (s *source) find(typ string, at func(error) error) (*contract, error) {
	path, name := splitType(typ)
	pkg := s.local
	if path != "" && path != s.local.Path() {
		if !token.IsExported(name) {
			return nil, at(fmt.Errorf("-type: %q is not exported", typ))
		}
		var err error
		if pkg, err = s.importer.Import(path); err != nil {
			return nil, at(fmt.Errorf("-type: %q: %w", typ, err))
		}
	}
	object := pkg.Scope().Lookup(name)
	if object == nil {
		return nil, at(fmt.Errorf("-type: package %q has no type %q (its interfaces are %s)", pkg.Path(), name, interfacesOf(pkg)))
	}
	position := s.position(object.Pos())
	c := &contract{name: name, typ: object.Type()}
	var ok bool
	if c.object, ok = object.(*types.TypeName); !ok {
		return nil, fmt.Errorf("%v: -type: %q is not a type", position, typ)
	}
	switch t := c.typ.(type) {
	case *types.Named:
		c.parameters = t.TypeParams()
	case *types.Alias:
		c.parameters = t.TypeParams()
	}
	iface, ok := c.typ.Underlying().(*types.Interface)
	switch {
	case isInvalid(c.typ.Underlying()):
		return nil, fmt.Errorf("%v: -type: %q can't be resolved: %w", position, typ, s.reason(object.Pos()))
	case !ok:
		return nil, fmt.Errorf("%v: -type: %q is not an interface but %s", position, typ, kindOf(c.typ))
	case !iface.IsMethodSet():
		return nil, fmt.Errorf("%v: -type: %q is a constraint: only an interface without type sets has values that can be forwarded to", position, typ)
	case iface.NumMethods() == 0:
		return nil, fmt.Errorf("%v: -type: %q has no methods: there is nothing to forward", position, typ)
	}
	for fn := range iface.Methods() {
		c.methods = append(c.methods, &method{
			fn:        fn,
			signature: fn.Signature(),
			label:     name + "." + fn.Name(),
			position:  s.position(fn.Pos()),
		})
	}
	return c, nil
}

// reason is why something at pos could not be resolved: what the type checker found there, or the first that it found.
func (s *source) reason(pos token.Pos) error {
	var found *types.Error
	for i, w := range s.wrong {
		if after := w.Pos >= pos; found == nil || after && (found.Pos < pos || w.Pos < found.Pos) {
			found = &s.wrong[i]
		}
	}
	if found == nil {
		return errors.New("it is not valid")
	}
	return fmt.Errorf("%v: %s", s.position(found.Pos), found.Msg)
}

func interfacesOf(pkg *types.Package) string {
	var names []string
	for _, name := range pkg.Scope().Names() { // sorted
		if t, ok := pkg.Scope().Lookup(name).(*types.TypeName); ok && types.IsInterface(t.Type()) {
			names = append(names, name)
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ", ")
}

func kindOf(t types.Type) string {
	switch t.Underlying().(type) {
	case *types.Struct:
		return "a struct"
	case *types.Signature:
		return "a function"
	case *types.Pointer:
		return "a pointer"
	default:
		return t.Underlying().String()
	}
}

func isInvalid(t types.Type) bool {
	b, ok := t.(*types.Basic)
	return ok && b.Kind() == types.Invalid
}
