package orchestrator

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator/internal/hook"
)

// Variant declares one of several implementations of a module, of which the flag, then a string, names one; "off" is the
// noop. A boolean flag that is true means the variant "on" if there is one, else the first. The options may be Provide,
// Options, Import and Health, and are added to those outside of Variant, which all variants share; a constructor that wants
// to know its variant takes a Self.
//
// When the flag changes from one variant to another, the running one is replaced without a gap; see OnChange.
func Variant(name string, opts ...ModuleOption) ModuleOption {
	return moduleOption{"Variant", func(s *spec) {
		s.within = &implementation{name: name}
		for _, o := range opts {
			if o == nil {
				s.invalid("Variant(%q): nil among the options", name)
				continue
			}
			o.applyModule(s)
		}
		s.variants = append(s.variants, s.within)
		s.within = nil
	}}
}

// Self tells a constructor in a private graph for which module and variant it runs. Every private graph provides it.
type Self struct {
	Module  string
	Variant string // "on" in a module without variants
}

// implementation is what a private graph is made of.
type implementation struct {
	name         string // of the variant
	declared     []key  // by Import
	constructors []any
	options      []fx.Option
	health       []healthCheck
	imports      []key // declared and inferred
}

func (i *implementation) empty() bool { return len(i.constructors)+len(i.options) == 0 }

// complete makes the implementations of what was declared.
func (s *spec) complete() {
	if s.static && !s.onFailureSet {
		s.onFailure = Abort
	}
	declared := s.variants
	if len(declared) == 0 && !s.base.empty() {
		declared = []*implementation{{name: variantOn}}
	}
	for _, v := range declared {
		i := &implementation{
			name:         v.name,
			declared:     slices.Concat(s.base.declared, v.declared),
			constructors: slices.Concat(s.base.constructors, v.constructors),
			options:      slices.Concat(s.base.options, v.options),
			health:       slices.Concat(s.base.health, v.health),
		}
		i.imports = i.allImports(s.exports)
		s.implementations = append(s.implementations, i)
	}
}

// linkReplaced makes a module that holds only its noop run what a test puts in its place.
func (m *module) linkReplaced(hooks hook.Hooks) {
	if m.spec.linked() || len(m.spec.exports) == 0 {
		return
	}
	for _, e := range m.spec.exports {
		if _, replaced := hooks.Replace[e.typ]; !replaced {
			return
		}
	}
	spec := *m.spec // the declaration may be in use in other apps
	spec.implementations = []*implementation{{name: variantOn}}
	m.spec = &spec
}

const (
	variantOn  = "on"
	variantOff = "off"
)

// variantNames are the variants that the flag may name, without "off"; none if it is a boolean.
func (s *spec) variantNames() []string {
	var list []string
	for _, v := range s.variants {
		list = append(list, v.name)
	}
	return list
}

// allowed is what the flag may say, for people.
func (s *spec) allowed() string {
	list := s.variantNames()
	if len(list) == 0 {
		list = []string{variantOn}
	}
	return strings.Join(append([]string{variantOff}, list...), ", ")
}

// implementation returns what a variant's name stands for, or nil if the module doesn't have it.
func (s *spec) implementation(variant string) *implementation {
	for _, i := range s.implementations {
		if i.name == variant {
			return i
		}
	}
	if (variant == variantOn || variant == "") && len(s.implementations) > 0 {
		return s.implementations[0]
	}
	return nil
}

// understands reports whether the module can do what a flag asks for.
func (s *spec) understands(d Decision) bool {
	return !d.Enabled || s.implementation(d.Variant) != nil || !s.linked() && (len(s.variants) == 0)
}

func (s *spec) validateVariants() error {
	var errs []error
	for i, v := range s.variants {
		switch {
		case v.name == variantOff || v.name == implementationReal || v.name == implementationNoop:
			errs = append(errs, fmt.Errorf("module %q: Variant(%q): the name is taken: off is the noop; real and noop are words of the status", s.name, v.name))
		case !identifier.MatchString(v.name):
			errs = append(errs, fmt.Errorf("module %q: Variant(%q): allowed are letters, digits and single '-', '.', '_' or '/' between them, starting with a letter", s.name, v.name))
		case slices.ContainsFunc(s.variants[:i], func(earlier *implementation) bool { return earlier.name == v.name }):
			errs = append(errs, fmt.Errorf("module %q: Variant(%q) is declared twice: give each variant a name of its own", s.name, v.name))
		case v.empty() && s.base.empty():
			errs = append(errs, fmt.Errorf("module %q: Variant(%q) holds no constructor: add orchestrator.Provide", s.name, v.name))
		}
	}
	return errors.Join(errs...)
}
