package importrules

import (
	"fmt"
	"slices"
	"strings"
)

// Siblings is the rule that implementations never import one another: they meet through contracts, in the app's graph. An
// implementation is a folder below a contract's: ./modules/<contract>/<implementation>.
type Siblings struct{ Contracts Patterns }

// Check returns what breaks the rule, sorted; empty if nothing does.
func (s Siblings) Check(g *Graph) []string {
	found := vacuous(g, "contracts", s.Contracts)
	for _, p := range g.own() {
		own := s.implementation(g, p.ImportPath)
		if own == "" {
			continue
		}
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if other := s.implementation(g, path); other != "" && other != own {
				found = append(found, fmt.Sprintf("%s imports %s: implementations meet through contracts, in the app's graph", g.rel(p.ImportPath), g.rel(path)))
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// implementation returns the folder of the implementation that a package belongs to, or "".
func (s Siblings) implementation(g *Graph, path string) string {
	rel := g.rel(path)
	for _, contract := range s.Contracts {
		if below, ok := strings.CutPrefix(rel, contract+"/"); ok {
			name, _, _ := strings.Cut(below, "/")
			return contract + "/" + name
		}
	}
	return ""
}
