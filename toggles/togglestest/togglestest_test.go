package togglestest_test

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles/togglestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGatesAreIndependent(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			g := togglestest.New(t, map[string]any{"mail": i%2 == 0, "automation": "dryrun"})
			if err := g.Declare(orchestrator.FlagDeclaration{Name: "mail"}, orchestrator.FlagDeclaration{Name: "automation"}); err != nil {
				t.Fatal(err)
			}
			for flip := range 100 {
				want := (i+flip)%2 == 0
				g.Set("mail", want)
				if got := g.Decide("mail").Enabled; got != want {
					t.Fatalf("mail is %t, want %t", got, want)
				}
			}
			if d := g.Decide("automation"); d.Variant != "dryrun" || d.Source != "test" {
				t.Errorf("decision %+v, want the variant dryrun", d)
			}
		})
	}
}

// recorder is a test that is under test.
type recorder struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func TestMistakesFailTheTest(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		flags   map[string]any
		declare bool
		want    string
	}{
		"misspelled":          {map[string]any{"mial": true}, true, `"mial"`},
		"wrong type":          {map[string]any{"mail": 1}, true, "value 1"},
		"nothing declared":    {map[string]any{"mial": true}, false, ""},
		"nothing to say":      {nil, true, ""},
		"everything in order": {map[string]any{"mail": true}, true, ""},
	} {
		r := &recorder{TB: t}
		g := togglestest.New(r, tt.flags)
		if tt.declare {
			if err := g.Declare(orchestrator.FlagDeclaration{Name: "mail"}); err != nil {
				t.Error(err)
			}
		}
		for _, f := range r.cleanups {
			f()
		}
		if tt.want == "" && len(r.errors) > 0 || tt.want != "" && (len(r.errors) != 1 || !strings.Contains(r.errors[0], tt.want)) {
			t.Errorf("%s: errors %q, want %q", name, r.errors, tt.want)
		}
	}
}
