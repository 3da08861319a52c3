package importrules

import (
	"fmt"
	"slices"
	"strings"
)

// Layer is a rule about direct imports.
type Layer struct {
	Of     Patterns // the packages that the rule is about
	Except Patterns // of those, the ones that it is not about
	Only   Patterns // if set, all that they may import
	Never  Patterns // what they may not import, not even in tests
	Why    string
}

// Check returns what breaks the rule, sorted; empty if nothing does.
func (l Layer) Check(g *Graph) []string {
	found := vacuous(g, l.Why, l.Of, l.Except, l.Never)
	for _, p := range g.own() {
		if !l.Of.match(g, p.ImportPath) || l.Except.match(g, p.ImportPath) {
			continue
		}
		for _, path := range p.Imports {
			if l.Only != nil && !l.Only.match(g, path) {
				found = append(found, fmt.Sprintf("%s imports %s; allowed are %s: %s", g.rel(p.ImportPath), g.rel(path), strings.Join(l.Only, ", "), l.Why))
			}
		}
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if l.Never.match(g, path) {
				found = append(found, fmt.Sprintf("%s imports %s: %s", g.rel(p.ImportPath), g.rel(path), l.Why))
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// Links is a rule about what packages link in the end, through whatever imports what.
type Links struct {
	Of    Patterns // the packages that the rule is about
	Never Patterns // what they may not link
	Why   string
}

// Check returns what breaks the rule, sorted, with one chain of imports for each offending package; empty if nothing does.
func (l Links) Check(g *Graph) []string {
	found := vacuous(g, l.Why, l.Of, l.Never)
	for _, p := range g.own() {
		if !l.Of.match(g, p.ImportPath) {
			continue
		}
		for _, path := range p.Deps {
			if l.Never.match(g, path) {
				found = append(found, fmt.Sprintf("%s: %s", strings.Join(g.chain(p.ImportPath, path), " -> "), l.Why))
				break // one is enough: the others come with it, by the hundred
			}
		}
	}
	slices.Sort(found)
	return found
}

// chain returns a shortest chain of imports.
func (g *Graph) chain(from, to string) []string {
	cameFrom := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		if queue[0] == to {
			break
		}
		p := g.byPath[queue[0]]
		if p == nil {
			continue
		}
		for _, next := range p.Imports {
			if _, seen := cameFrom[next]; !seen {
				cameFrom[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
	var chain []string
	for path := to; path != ""; path = cameFrom[path] {
		chain = append(chain, g.rel(path))
	}
	slices.Reverse(chain)
	return chain
}

func vacuous(g *Graph, why string, patterns ...Patterns) []string {
	var found []string
	for _, ps := range patterns {
		for _, pattern := range ps.vacuous(g) {
			found = append(found, fmt.Sprintf("no package matches %q, so the rule protects nothing: correct or remove it (%s)", pattern, why))
		}
	}
	return found
}
