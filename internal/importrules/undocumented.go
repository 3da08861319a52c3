package importrules

import "slices"

// Undocumented returns the packages of the module that have no package comment, sorted. A folder with nothing but tests
// needs none.
func Undocumented(g *Graph) []string {
	var without []string
	for _, p := range g.own() {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			without = append(without, g.rel(p.ImportPath))
		}
	}
	slices.Sort(without)
	return without
}
