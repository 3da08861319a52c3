package importrules

import (
	"slices"
	"strings"
)

// Patterns names packages; see the package documentation.
type Patterns []string

// match reports whether one of the patterns names the package of that path.
func (ps Patterns) match(g *Graph, path string) bool {
	return slices.ContainsFunc(ps, func(pattern string) bool { return matches(g, pattern, path) })
}

func matches(g *Graph, pattern, path string) bool {
	if pattern == "std" {
		p := g.byPath[path]
		return p != nil && p.Standard
	}
	rel := g.rel(path)
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return rel == tree || strings.HasPrefix(rel, tree+"/")
	}
	return rel == pattern
}

// vacuous returns the patterns that name no package of the graph.
func (ps Patterns) vacuous(g *Graph) []string {
	var unused []string
	for _, pattern := range ps {
		if !slices.ContainsFunc(g.Packages, func(p *Package) bool { return matches(g, pattern, p.ImportPath) }) {
			unused = append(unused, pattern)
		}
	}
	return unused
}
