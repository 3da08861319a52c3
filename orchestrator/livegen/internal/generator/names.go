package generator

import (
	"go/token"
	"go/types"
	"maps"
	"strconv"
)

// names is a set of identifiers that mean something already.
type names map[string]bool

// fresh returns base, or base with the first number that makes it new, and adds it.
func (n names) fresh(base string) string {
	name := base
	for i := 1; n[name] || token.IsKeyword(name); i++ {
		name = base + strconv.Itoa(i)
	}
	n[name] = true
	return name
}

// with returns a copy that has the names of both.
func (n names) with(others ...string) names {
	all := maps.Clone(n)
	for _, name := range others {
		all[name] = true
	}
	return all
}

// declared is the names that the package declares, with the predeclared ones.
func (s *source) declared() names {
	all := names{}
	for _, scope := range []*types.Scope{types.Universe, s.local.Scope()} {
		for _, name := range scope.Names() {
			all[name] = true
		}
	}
	return all
}
