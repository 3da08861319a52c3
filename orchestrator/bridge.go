package orchestrator

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.uber.org/fx"
)

const (
	moduleGroupName = "switchyard.modules"
	moduleGroup     = `group:"` + moduleGroupName + `"`
)

// key identifies a value in an fx graph.
type key struct {
	typ         reflect.Type
	name, group string
	optional    bool
}

func (k key) identity() key { k.optional = false; return k }

// paramTag is the key as fx.ParamTags wants it, in a graph that may lack it: the engine reports a missing import itself,
// with the module's name and with all else that is wrong.
func (k key) paramTag() string {
	if k.group != "" {
		return fmt.Sprintf(`group:%q`, k.group)
	}
	return strings.TrimSpace(nameTag(k.name) + ` optional:"true"`)
}

// showsAbsence reports whether a value that is not there can be told from one that is there and zero.
func (k key) showsAbsence() bool { return k.optional || k.group != "" || isNillable(k.typ) }

// providedIn reports whether the app's graph has a constructor for the key: it draws each result as a node.
func (k key) providedIn(graph fx.DotGraph) bool {
	node := k.typ.String()
	if k.name != "" {
		node += "[name=" + k.name + "]"
	}
	return strings.Contains(string(graph), fmt.Sprintf("\t%q [label=<", node))
}

func (k key) resultTag() string {
	if k.group != "" {
		return fmt.Sprintf(`group:"%s,flatten"`, k.group)
	}
	return nameTag(k.name)
}

func nameTag(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(`name:%q`, name)
}

func isNillable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.Map, reflect.Pointer, reflect.Slice:
		return true
	default:
		return false
	}
}

// parentOptions is the module as the app's graph sees it: for each export the handle and the proxy, which depend on
// nothing, and one group member that receives the imports. So modules may import each other's exports freely.
func (s *spec) parentOptions() fx.Option {
	if s.static {
		return s.staticOptions()
	}
	constructors := []any{}
	params := []reflect.Type{}
	tags := []string{}
	for _, e := range s.exports {
		constructors = append(constructors, e.provide)
		params, tags = append(params, e.liveType), append(tags, "")
	}
	imports := s.imports()
	importTypes, importTags := bridgeParams(imports)
	params, tags = append(params, importTypes...), append(tags, importTags...)
	bridge := reflect.MakeFunc(
		reflect.FuncOf(params, []reflect.Type{reflect.TypeFor[*module]()}, false),
		func(args []reflect.Value) []reflect.Value {
			m := newModule(s)
			for _, live := range args[:len(s.exports)] {
				m.slots = append(m.slots, live.Interface().(slot))
			}
			m.imports = bridged(imports, args[len(s.exports):])
			m.builtWith = m.imports
			return []reflect.Value{reflect.ValueOf(m)}
		})
	// One Provide, because each looks where it was called from; and the short form if it will do, because the long one makes
	// struct types at run time. A thousand modules notice both.
	if slices.ContainsFunc(tags, func(tag string) bool { return tag != "" }) {
		return fx.Provide(append(constructors, fx.Annotate(bridge.Interface(), fx.ParamTags(tags...), fx.ResultTags(moduleGroup)))...)
	}
	return fx.Provide(append(constructors, fx.Annotated{Group: moduleGroupName, Target: bridge.Interface()})...)
}

// bridgeParams are the parameters with which a constructor in the app's graph receives imports, and their tags: the imports,
// and, if one of them can't show that it is missing, the drawing of the graph, which does.
func bridgeParams(imports []key) (params []reflect.Type, tags []string) {
	for _, k := range imports {
		params, tags = append(params, k.typ), append(tags, k.paramTag())
	}
	if slices.ContainsFunc(imports, func(k key) bool { return !k.showsAbsence() }) {
		params, tags = append(params, reflect.TypeFor[fx.DotGraph]()), append(tags, "")
	}
	return params, tags
}

// bridged takes the imports out of the arguments for bridgeParams.
func bridged(imports []key, args []reflect.Value) []imported {
	all := make([]imported, len(imports))
	for i, k := range imports {
		all[i] = imported{key: k, value: args[i]}
		switch {
		case k.showsAbsence():
			all[i].missing = k.group == "" && isNillable(k.typ) && args[i].IsNil()
		case args[i].IsZero():
			graph, _ := reflect.TypeAssert[fx.DotGraph](args[len(imports)])
			all[i].missing = !k.providedIn(graph)
		}
	}
	return all
}

// imported is a value taken from the app's graph for a private one.
type imported struct {
	key     key
	value   reflect.Value
	missing bool   // the graph has no such value
	version uint64 // changes when Reload changes the value
}

// option provides the value in the private graph.
func (i imported) option() fx.Option {
	constructor := reflect.MakeFunc(
		reflect.FuncOf(nil, []reflect.Type{i.key.typ}, false),
		func([]reflect.Value) []reflect.Value { return []reflect.Value{i.value} },
	).Interface()
	if tag := i.key.resultTag(); tag != "" {
		return fx.Provide(fx.Annotate(constructor, fx.ResultTags(tag)))
	}
	return fx.Provide(constructor)
}

// imports is what the implementations import, each value once, in the order of appearance.
func (s *spec) imports() []key {
	var all []key
	for _, i := range s.implementations {
		for _, k := range i.imports {
			at := slices.IndexFunc(all, func(known key) bool { return known.identity() == k.identity() })
			switch {
			case at < 0:
				all = append(all, k)
			case !k.optional:
				all[at].optional = false
			}
		}
	}
	return all
}

// allImports is what Import declares and what the plain constructors need and don't provide, in the order of appearance.
// The module's own exports are never imported: its private graph has to provide them.
func (i *implementation) allImports(exports []export) []key {
	provided := map[key]bool{}
	for _, e := range exports {
		provided[key{typ: e.typ}] = true
	}
	for _, t := range suppliedByEngine() {
		provided[key{typ: t}] = true
	}
	var needs []key
	for _, constructor := range i.constructors {
		t := reflect.TypeOf(constructor)
		if t == nil || t.Kind() != reflect.Func {
			continue // an annotated constructor is opaque: its needs are declared with Import
		}
		for in := range t.NumIn() {
			if t.IsVariadic() && in == t.NumIn()-1 {
				break // fx leaves variadic parameters empty
			}
			needs = append(needs, keysOf(t.In(in))...)
		}
		for out := range t.Outs() {
			for _, k := range keysOf(out) {
				if k.group == "" { // a group may have members on both sides
					provided[k.identity()] = true
				}
			}
		}
	}
	var imports []key
	for _, k := range slices.Concat(i.declared, needs) {
		if !provided[k.identity()] {
			provided[k.identity()] = true
			imports = append(imports, k)
			continue
		}
		at := slices.IndexFunc(imports, func(known key) bool { return known.identity() == k.identity() })
		if at >= 0 && !k.optional { // one can do without it, the other can't
			imports[at].optional = false
		}
	}
	return imports
}

// keysOf returns the key of a plain parameter or result, or those of the fields of an fx.In or fx.Out struct.
func keysOf(t reflect.Type) []key {
	if !isParameterObject(t) {
		return []key{{typ: t}}
	}
	var keys []key
	for f := range t.Fields() {
		switch {
		case isMarker(f.Type), !f.IsExported() && !f.Anonymous:
		case isParameterObject(f.Type):
			keys = append(keys, keysOf(f.Type)...)
		default:
			group, _, _ := strings.Cut(f.Tag.Get("group"), ",")
			keys = append(keys, key{typ: f.Type, name: f.Tag.Get("name"), group: group, optional: f.Tag.Get("optional") == "true"})
		}
	}
	return keys
}

// isParameterObject reports whether t is a struct that embeds fx.In or fx.Out, directly or through another one.
func isParameterObject(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || isMarker(t) {
		return false
	}
	for f := range t.Fields() {
		if f.Anonymous && (isMarker(f.Type) || isParameterObject(f.Type)) {
			return true
		}
	}
	return false
}

func isMarker(t reflect.Type) bool {
	return t == reflect.TypeFor[fx.In]() || t == reflect.TypeFor[fx.Out]()
}

func suppliedByEngine() []reflect.Type {
	return []reflect.Type{
		reflect.TypeFor[fx.Lifecycle](), reflect.TypeFor[fx.Shutdowner](), reflect.TypeFor[fx.DotGraph](),
		reflect.TypeFor[*Owner](), reflect.TypeFor[Self](), reflect.TypeFor[error](),
	}
}

// missingImports reports declared imports that the app's graph does not provide. An inferred one may still come from an
// annotated constructor of the private graph; validating that graph tells.
func (m *module) missingImports() error {
	declared := map[key]bool{}
	for _, i := range m.spec.implementations {
		for _, k := range i.declared {
			declared[k.identity()] = true
		}
	}
	var errs []error
	for _, i := range m.imports {
		if i.missing && declared[i.key.identity()] {
			errs = append(errs, fmt.Errorf("module %q: import %v is not provided by the app: add fx.Provide or fx.Supply for it", m.spec.name, i.key.typ))
		}
	}
	return errors.Join(errs...)
}
