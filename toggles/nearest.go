package toggles

import (
	"slices"
	"strings"
)

// nearest returns the candidate that name was probably meant to be; false if none is near. Case doesn't count. Of several
// that are equally near, it is the first in alphabetical order.
func nearest(name string, candidates []string) (string, bool) {
	sorted := slices.Sorted(slices.Values(candidates))
	best, bestDistance := "", len([]rune(name))/3+2
	for _, c := range sorted {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best, best != ""
}

// distance is the number of insertions, deletions, substitutions and swaps of neighbours that make b of a (optimal string
// alignment).
func distance(first, second string) int {
	a, b := []rune(first), []rune(second)
	before, previous, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range a {
		current[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			current[j+1] = min(previous[j+1]+1, current[j]+1, previous[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				current[j+1] = min(current[j+1], before[j-1]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return previous[len(b)]
}
