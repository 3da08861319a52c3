package importrules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/detectviz/switchyard/internal/importrules"
)

// TestEveryRuleBites plants one violation of each rule in the real graph, which is otherwise clean.
func TestEveryRuleBites(t *testing.T) {
	t.Parallel()
	g := graph(t)
	for i, l := range importrules.Layers() {
		for _, of := range l.Of {
			for _, banned := range l.Never {
				t.Run(fmt.Sprintf("layer %d %s never %s", i, of, banned), func(t *testing.T) {
					t.Parallel()
					requireBite(t, l.Check, g, planted(g, of, l.Except, banned), of, banned)
				})
			}
			if l.Only != nil {
				t.Run(fmt.Sprintf("layer %d %s only", i, of), func(t *testing.T) {
					t.Parallel()
					requireBite(t, l.Check, g, planted(g, of, l.Except, "./examples/detectviz/app"), of, "./examples/detectviz/app")
				})
			}
		}
	}
	for _, l := range importrules.LinkRules() {
		for _, of := range l.Of {
			for _, banned := range l.Never {
				t.Run(fmt.Sprintf("links %s never %s", of, banned), func(t *testing.T) {
					t.Parallel()
					requireBite(t, l.Check, g, planted(g, of, nil, banned), of, banned)
				})
			}
		}
	}
}

// planted is the graph's first package that of names, with an import of the first one that banned names.
func planted(g *importrules.Graph, of string, except []string, banned string) *importrules.Package {
	find := func(pattern string, except []string) *importrules.Package {
		i := slices.IndexFunc(g.Packages, func(p *importrules.Package) bool {
			return named(g, pattern, p) && !slices.ContainsFunc(except, func(e string) bool { return named(g, e, p) })
		})
		if i < 0 {
			return nil
		}
		return g.Packages[i]
	}
	from, to := find(of, except), find(banned, nil)
	if from == nil || to == nil {
		return nil
	}
	offender := *from
	offender.Imports = append(slices.Clone(from.Imports), to.ImportPath)
	offender.Deps = append(slices.Clone(from.Deps), to.ImportPath)
	return &offender
}

// named is a second opinion on which packages a pattern names; of this module when it begins with a dot.
func named(g *importrules.Graph, pattern string, p *importrules.Package) bool {
	if rest, ok := strings.CutPrefix(pattern, "./"); ok {
		pattern = g.Module + "/" + rest
	}
	tree, all := strings.CutSuffix(pattern, "/...")
	return p.ImportPath == tree || all && strings.HasPrefix(p.ImportPath, tree+"/")
}

func requireBite(t *testing.T, check func(*importrules.Graph) []string, g *importrules.Graph, offender *importrules.Package, of, banned string) {
	t.Helper()
	if offender == nil {
		t.Fatalf("no package for %q or %q", of, banned)
	}
	packages := slices.Clone(g.Packages)
	for i, p := range packages {
		if p.ImportPath == offender.ImportPath {
			packages[i] = offender
		}
	}
	before, after := check(g), check(importrules.NewGraph(g.Module, packages...))
	if len(after) != len(before)+1 {
		t.Errorf("%d violations before and %d after %s imports %s, want one more", len(before), len(after), of, banned)
	}
}
