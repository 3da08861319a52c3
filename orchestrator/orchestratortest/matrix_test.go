package orchestratortest_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/orchestratortest"
)

// rowsOf returns what Matrix runs for n modules.
func rowsOf(t *testing.T, n int) (modules []string, rows []map[string]bool) {
	for i := range n {
		modules = append(modules, fmt.Sprintf("m%02d", i))
	}
	t.Run("rows", func(t *testing.T) {
		orchestratortest.Matrix(t, modules, func(_ *testing.T, on map[string]bool) { rows = append(rows, on) })
	})
	return modules, rows
}

func TestMatrixRunsAllCombinations(t *testing.T) {
	t.Parallel()
	for n := range 7 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			modules, rows := rowsOf(t, n)
			seen := map[string]bool{}
			for _, row := range rows {
				if len(row) != n {
					t.Errorf("%v: want %q", row, modules)
				}
				seen[fmt.Sprint(row)] = true
			}
			if want := 1 << n; len(rows) != want || len(seen) != want {
				t.Errorf("%d rows, %d of them different; want %d", len(rows), len(seen), want)
			}
		})
	}
}

func TestMatrixCoversAllPairs(t *testing.T) {
	t.Parallel()
	for n, count := range map[int]int{7: 7, 10: 7, 11: 8, 20: 8, 70: 10} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			modules, rows := rowsOf(t, n)
			if len(rows) != count {
				t.Errorf("%d rows, want %d", len(rows), count)
			}
			for i, a := range modules {
				for _, b := range modules[:i] {
					for _, want := range [][2]bool{{false, false}, {false, true}, {true, false}, {true, true}} {
						if !slices.ContainsFunc(rows, func(row map[string]bool) bool { return [2]bool{row[a], row[b]} == want }) {
							t.Errorf("%s and %s are never %v", a, b, want)
						}
					}
				}
			}
			for _, all := range []bool{false, true} {
				if !slices.ContainsFunc(rows, func(row map[string]bool) bool {
					return !slices.ContainsFunc(modules, func(m string) bool { return row[m] != all })
				}) {
					t.Errorf("never all of them %v", all)
				}
			}
			if _, again := rowsOf(t, n); fmt.Sprint(again) != fmt.Sprint(rows) {
				t.Error("other rows in a second run")
			}
		})
	}
}

func TestMatrixWithAnApp(t *testing.T) {
	t.Parallel()
	orchestratortest.Matrix(t, []string{"store", "api", "jobs"}, func(t *testing.T, on map[string]bool) {
		t.Parallel()
		app := orchestratortest.New(t, parts(), orchestratortest.Flags(on))
		for _, name := range []string{"store", "jobs"} {
			want := orchestrator.Off
			if on[name] {
				want = orchestrator.Running
			}
			app.RequireState(name, want)
		}
		want := orchestrator.Off
		switch {
		case on["api"] && on["store"]:
			want = orchestrator.Running
		case on["api"]:
			want = orchestrator.Waiting
		}
		app.RequireState("api", want)
	})
}
