package orchestratortest

import (
	"math/bits"
	"slices"
	"strings"
	"testing"
)

// matrixLimit is up to how many modules all combinations are run: 64.
const matrixLimit = 6

// Matrix runs fn as a subtest for combinations of modules that are on and off: for all of them up to six modules, and for
// more for so many that any two modules meet in all four ways, all off and all on among them: 7 for ten modules, 10 for 70.
// Which those are depends on the number of modules only. Subtests are called like "mailer=on,store=off"; fn may call t.Parallel.
//
//	orchestratortest.Matrix(t, modules, func(t *testing.T, on map[string]bool) {
//		app := orchestratortest.New(t, module(), orchestratortest.Flags(on))
//		...
//	})
func Matrix(t *testing.T, modules []string, fn func(t *testing.T, on map[string]bool)) {
	t.Helper()
	for i, m := range modules {
		if slices.Contains(modules[:i], m) {
			t.Fatalf("Matrix: module %q is named twice", m)
		}
	}
	rows := pairwise(len(modules))
	if len(modules) <= matrixLimit {
		rows = exhaustive(len(modules))
	}
	for _, row := range rows {
		on := map[string]bool{}
		var name []string
		for i, m := range modules {
			on[m] = row[i]
			name = append(name, m+"="+onOrOff(row[i]))
		}
		t.Run(strings.Join(name, ","), func(t *testing.T) { fn(t, on) })
	}
}

func onOrOff(enabled bool) string {
	if enabled {
		return on
	}
	return off
}

// exhaustive returns all rows of n values.
func exhaustive(n int) [][]bool {
	rows := [][]bool{{}}
	for range n {
		var longer [][]bool
		for _, row := range rows {
			longer = append(longer, append(slices.Clone(row), false), append(slices.Clone(row), true))
		}
		rows = longer
	}
	return rows
}

// pairwise returns rows of n values in which any two places have all four pairs of values: one row with all off, one with all
// on, and the rest such that each place is on in a set of rows of its own, all of the same size. None of those sets holds
// another one, so of two places, each is on somewhere without the other. By Sperner's theorem, that takes the fewest rows if
// the sets are half of the rows.
func pairwise(n int) [][]bool {
	count := 0
	sets := halves(count)
	for ; len(sets) < n; sets = halves(count) {
		count++
	}
	rows := [][]bool{make([]bool, n), slices.Repeat([]bool{true}, n)}
	for r := range count {
		row := make([]bool, n)
		for at := range n {
			row[at] = sets[at]&(1<<r) != 0
		}
		rows = append(rows, row)
	}
	return rows
}

// halves returns the sets of half of so many elements, as bits, in order.
func halves(count int) []uint {
	var sets []uint
	for set := range uint(1) << count {
		if bits.OnesCount(set) == count/2 {
			sets = append(sets, set)
		}
	}
	return sets
}
