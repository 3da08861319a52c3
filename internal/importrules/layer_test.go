package importrules_test

import (
	"strings"
	"testing"

	"github.com/detectviz/switchyard/internal/importrules"
)

const module = "example.com/app"

// pkg is a package of the module under test; the imports are spelled like patterns.
func pkg(path string, imports ...string) *importrules.Package {
	p := &importrules.Package{
		ImportPath: module + strings.TrimPrefix(path, "."),
		Name:       path[strings.LastIndex(path, "/")+1:],
		Module:     &importrules.Module{Path: module, Main: true},
		GoFiles:    []string{"file.go"},
	}
	for _, i := range imports {
		p.Imports = append(p.Imports, full(i))
	}
	return p
}

func full(path string) string {
	if rest, ok := strings.CutPrefix(path, "./"); ok {
		return module + "/" + rest
	}
	return path
}

func std(path string) *importrules.Package {
	return &importrules.Package{ImportPath: path, Standard: true}
}

func other(path string, imports ...string) *importrules.Package {
	return &importrules.Package{ImportPath: path, Module: &importrules.Module{Path: path}, Imports: imports}
}

// requireViolation fails unless exactly one violation was found, and it names all of that.
func requireViolation(t *testing.T, found []string, names ...string) {
	t.Helper()
	if len(names) == 0 {
		if len(found) != 0 {
			t.Errorf("violations %q, want none", found)
		}
		return
	}
	if len(found) != 1 {
		t.Fatalf("violations %q, want one that names %q", found, names)
	}
	for _, name := range names {
		if !strings.Contains(found[0], name) {
			t.Errorf("violation %q, want it to name %q", found[0], name)
		}
	}
}

func TestLayerCheck(t *testing.T) {
	t.Parallel()
	only := importrules.Layer{Of: importrules.Patterns{"./core/..."}, Only: importrules.Patterns{"std", "lib/..."}}
	never := importrules.Layer{
		Of: importrules.Patterns{"./..."}, Except: importrules.Patterns{"./flags"}, Never: importrules.Patterns{"lib/..."},
	}
	inTest, inExternalTest := pkg("./core"), pkg("./core")
	inTest.TestImports = []string{"lib/sub"}
	inExternalTest.XTestImports = []string{"lib"}
	rest := []*importrules.Package{std("fmt"), other("lib"), other("lib/sub"), other("library"), pkg("./flags", "lib")}
	for _, tc := range []struct {
		name string
		rule importrules.Layer
		pkg  *importrules.Package
		want []string // what the violation names; empty: none
	}{
		{"allowed", only, pkg("./core", "fmt", "lib", "lib/sub"), nil},
		{"not allowed", only, pkg("./core", "fmt", "library"), []string{"./core", "library"}},
		{"not allowed below", only, pkg("./core/sub", "./flags"), []string{"./core/sub", "./flags"}},
		{"not banned", never, pkg("./core", "fmt", "library"), nil},
		{"banned", never, pkg("./core", "lib/sub"), []string{"./core", "lib/sub"}},
		{"banned in a test", never, inTest, []string{"./core", "lib/sub"}},
		{"banned in an external test", never, inExternalTest, []string{"./core", "lib"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			requireViolation(t, tc.rule.Check(importrules.NewGraph(module, append(rest, tc.pkg)...)), tc.want...)
		})
	}
}

func TestVacuousRules(t *testing.T) {
	t.Parallel()
	g := importrules.NewGraph(module, pkg("./core"), other("lib"))
	core, lib, gone := importrules.Patterns{"./core"}, importrules.Patterns{"lib/..."}, importrules.Patterns{"./gone/..."}
	for _, tc := range []struct {
		name  string
		check func(*importrules.Graph) []string
		want  []string
	}{
		{"layer", importrules.Layer{Of: core, Never: lib}.Check, nil},
		{"layer of nothing", importrules.Layer{Of: gone, Never: lib}.Check, []string{"./gone/..."}},
		{"layer except nothing", importrules.Layer{Of: core, Except: gone}.Check, []string{"./gone/..."}},
		{"layer that bans nothing", importrules.Layer{Of: core, Never: gone}.Check, []string{"./gone/..."}},
		{"links of nothing", importrules.Links{Of: gone, Never: lib}.Check, []string{"./gone/..."}},
		{"links that ban nothing", importrules.Links{Of: core, Never: gone}.Check, []string{"./gone/..."}},
		{"implementations of nothing", importrules.Siblings{Contracts: gone}.Check, []string{"./gone/..."}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			requireViolation(t, tc.check(g), tc.want...)
		})
	}
}

func TestLinksCheck(t *testing.T) {
	t.Parallel()
	program := pkg("./program", "./core")
	program.Deps = []string{"heavy/inner", "heavy/outer", full("./core"), "light"}
	g := importrules.NewGraph(module, program, pkg("./core", "light", "heavy/outer"),
		other("light"), other("heavy/outer", "heavy/inner"), other("heavy/inner"))
	heavy := importrules.Patterns{"heavy/..."}
	requireViolation(t, importrules.Links{Of: importrules.Patterns{"./program"}, Never: heavy}.Check(g),
		"./program -> ./core -> heavy/outer -> heavy/inner")
	requireViolation(t, importrules.Links{Of: importrules.Patterns{"./core"}, Never: heavy}.Check(g))
}

func TestSiblingsCheck(t *testing.T) {
	t.Parallel()
	rule := importrules.Siblings{Contracts: importrules.Patterns{"./modules/a", "./modules/b"}}
	rest := []*importrules.Package{pkg("./modules/a"), pkg("./modules/b"), pkg("./modules/a/real/sub"), pkg("./modules/b/real")}
	for _, tc := range []struct {
		name string
		pkg  *importrules.Package
		want []string
	}{
		{"its own and contracts", pkg("./modules/a/real", "./modules/a/real/sub", "./modules/a", "./modules/b"), nil},
		{"one of another contract", pkg("./modules/a/real", "./modules/b/real"), []string{"./modules/a/real", "./modules/b/real"}},
		{"another one of its contract", pkg("./modules/a/quick", "./modules/a/real/sub"), []string{"./modules/a/quick", "./modules/a/real/sub"}},
		{"a program", pkg("./examples/app", "./modules/a/real", "./modules/b/real"), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			requireViolation(t, rule.Check(importrules.NewGraph(module, append(rest, tc.pkg)...)), tc.want...)
		})
	}
}
