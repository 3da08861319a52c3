package generator

import (
	"errors"
	"fmt"
	"go/types"
	"strings"
	"unicode"
	"unicode/utf8"
)

// declarations is what is declared for a contract.
type declarations struct {
	live, noop           string   // functions
	proxyType, noopType  string   // what they return
	parameters           []string // names of the type parameters
	proxyField, embedded string   // of proxyType and of noopType
}

// declare chooses the names. Those of functions are part of what was asked for, so a package that has them already is an
// error; types get a number.
func (s *source) declare(c *contract, cfg Config, taken names) error {
	title := upperFirst(c.name)
	c.live, c.noop = "live"+title, "noop"+title
	if cfg.Export {
		c.live, c.noop = "Live"+title, "Noop"+title
	}
	var errs []error
	claim := func(name string, skip bool) {
		if taken[name] && !skip {
			at := "for another type"
			if object := s.local.Scope().Lookup(name); object != nil {
				at = "at " + s.position(object.Pos()).String()
			}
			errs = append(errs, fmt.Errorf("%v: %s: the name %q is taken %s: rename that, set -export, or name an alias of the interface with -type", s.position(c.object.Pos()), c.name, name, at))
		}
		taken[name] = true
	}
	claim(c.live, cfg.NoProxy)
	claim(c.noop, cfg.NoNoop)
	base := lowerFirst(c.name)
	c.proxyType, c.noopType = taken.fresh(base+"Proxy"), taken.fresh(base+"Noop")

	methods := names{}
	for _, m := range c.methods {
		methods[m.fn.Name()] = true
	}
	c.proxyField = methods.fresh("live")
	c.embedded = "Noop"

	used := names{}
	for p := range c.typeParameters() {
		used[p.Obj().Name()] = true
	}
	for p := range c.typeParameters() {
		name := p.Obj().Name()
		if name == "_" {
			name = used.fresh("T")
		}
		c.declarations.parameters = append(c.declarations.parameters, name)
	}
	return errors.Join(errs...)
}

func (c *contract) typeParameters() func(func(*types.TypeParam) bool) {
	return c.parameters.TypeParams()
}

// upperFirst makes the first word start with an upper-case letter.
func upperFirst(name string) string {
	r, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(r)) + name[size:]
}

// lowerFirst makes the first word lower case: HTTPServer becomes httpServer, Scheduler becomes scheduler.
func lowerFirst(name string) string {
	runes := []rune(name)
	for i, r := range runes {
		if !unicode.IsUpper(r) || i > 0 && i+1 < len(runes) && unicode.IsLower(runes[i+1]) {
			break
		}
		runes[i] = unicode.ToLower(r)
	}
	return strings.TrimLeft(string(runes), "_")
}
