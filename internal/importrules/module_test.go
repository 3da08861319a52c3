package importrules_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/detectviz/switchyard/internal/importrules"
)

// root is where the module begins, seen from this folder.
const root = "../.."

var update = flag.Bool("update", false, "rewrite the lists of dependencies")

// load reads the graph once for all tests.
var load = sync.OnceValues(func() (*importrules.Graph, error) {
	if err := importrules.Visit(root); err != nil {
		return nil, err
	}
	return importrules.Load(context.Background(), root)
})

func graph(t *testing.T) *importrules.Graph {
	t.Helper()
	g, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func report(t *testing.T, violations []string) {
	t.Helper()
	for _, v := range violations {
		t.Error(v)
	}
}

func TestLayers(t *testing.T) {
	t.Parallel()
	for _, l := range importrules.Layers() {
		report(t, l.Check(graph(t)))
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, l := range importrules.LinkRules() {
		report(t, l.Check(graph(t)))
	}
}

func TestImplementations(t *testing.T) {
	t.Parallel()
	report(t, importrules.Implementations().Check(graph(t)))
}

func TestConduct(t *testing.T) {
	t.Parallel()
	violations, err := importrules.LibraryConduct().Check(graph(t))
	if err != nil {
		t.Fatal(err)
	}
	report(t, violations)
}

func TestPackageComments(t *testing.T) {
	t.Parallel()
	for _, path := range importrules.Undocumented(graph(t)) {
		t.Errorf("%s has no package comment: say what it is for, in one sentence, in doc.go or its main file", path)
	}
}

func TestStagingModules(t *testing.T) {
	t.Parallel()
	required, err := importrules.Requirements(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if minors := importrules.StagingMinors(required); len(minors) != 1 {
		t.Errorf("staging modules of Kubernetes on %d minor versions, want 1: %v", len(minors), minors)
	}
}

func TestDependencyFiles(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"examples/detectviz", "examples/detectviz/minimal"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			modules, err := importrules.ThirdParty(t.Context(), root, "./"+program)
			if err != nil {
				t.Fatal(err)
			}
			if len(modules) == 0 {
				t.Fatal("the program links no module at all, which can't be")
			}
			want := []byte(strings.Join(modules, "\n") + "\n")
			path := filepath.Join(root, program, "deps.txt")
			if *update {
				if err := os.WriteFile(path, want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got, want) {
				added, removed := difference(strings.Fields(string(got)), modules)
				t.Errorf("%s/deps.txt is out of date (added %q, removed %q, %v): if that is what you want, run make deps and commit it", program, added, removed, err)
			}
		})
	}
}

func difference(was, is []string) (added, removed []string) {
	count := map[string]int{}
	for _, s := range was {
		count[s]--
	}
	for _, s := range is {
		if count[s]++; count[s] == 1 {
			added = append(added, s)
		}
	}
	for _, s := range was {
		if count[s] < 0 {
			removed = append(removed, s)
		}
	}
	return added, removed
}
