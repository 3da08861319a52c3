package importrules_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/detectviz/switchyard/internal/importrules"
)

func TestConductCheck(t *testing.T) {
	t.Parallel()
	allow := func(path, what string) importrules.Exception {
		return importrules.Exception{Path: path, What: what, Why: "test"}
	}
	for _, tc := range []struct {
		name, pkg, source string
		exceptions        []importrules.Exception
		want              []string
	}{
		{"quiet", "core", "func (t T) init() {}\ntype T struct{}", nil, nil},
		{"init", "core", "func init() {}", nil, []string{"core/file.go:3", "init"}},
		{"panic", "core", "func f() { panic(1) }", nil, []string{"core/file.go:3", "panic"}},
		{"exit", "core", "import \"os\"\nfunc f() { defer func() { os.Exit(1) }() }", nil, []string{"core/file.go:4", "os.Exit"}},
		{"fatal", "core", "import \"log\"\nfunc f() { log.Fatalf(\"x\") }", nil, []string{"core/file.go:4", "log.Fatalf"}},
		{"program", "main", "func init() { panic(1) }", nil, nil},
		{"allowed in the file", "core", "func init() {}", []importrules.Exception{allow("core/file.go", "init")}, nil},
		{"allowed in the folder", "core", "func init() {}", []importrules.Exception{allow("core", "init")}, nil},
		{"another thing is allowed", "core", "func f() { panic(1) }\nfunc init() {}", []importrules.Exception{allow("core", "init")}, []string{"panic"}},
		{"needless exception", "core", "", []importrules.Exception{allow("core", "init")}, []string{"core", "init", "not needed"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := pkg("./core")
			p.Name, p.Dir = tc.pkg, t.TempDir()
			if err := os.WriteFile(filepath.Join(p.Dir, "file.go"), []byte("package "+tc.pkg+"\n\n"+tc.source+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			found, err := importrules.Conduct{Exceptions: tc.exceptions}.Check(importrules.NewGraph(module, p))
			if err != nil {
				t.Fatal(err)
			}
			requireViolation(t, found, tc.want...)
		})
	}
}

func TestUndocumentedFinds(t *testing.T) {
	t.Parallel()
	documented, onlyTests := pkg("./documented"), pkg("./tests")
	documented.Doc, onlyTests.GoFiles = "Package documented is.", nil
	got := importrules.Undocumented(importrules.NewGraph(module, pkg("./bare"), documented, onlyTests))
	if want := []string{"./bare"}; !slices.Equal(got, want) {
		t.Errorf("undocumented %q, want %q", got, want)
	}
}

func TestStagingMinorsFinds(t *testing.T) {
	t.Parallel()
	minors := importrules.StagingMinors([]importrules.Requirement{
		{"k8s.io/api", "v0.37.2"}, {"k8s.io/apiserver", "v0.37.0-rc.1"}, {"k8s.io/client-go", "v0.36.9"},
		{"k8s.io/klog/v2", "v2.140.0"}, {"k8s.io/utils", "v0.0.0-20260626114624-be93311217bd"}, {"example.com/x", "v0.1.0"},
	})
	if len(minors) != 2 || !slices.Equal(minors["v0.37"], []string{"k8s.io/api", "k8s.io/apiserver"}) ||
		!slices.Equal(minors["v0.36"], []string{"k8s.io/client-go"}) {
		t.Errorf("minor versions %v, want v0.37 with two modules and v0.36 with one", minors)
	}
}
