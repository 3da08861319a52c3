package generator

import (
	"fmt"
	"go/types"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

const orchestratorPath = "github.com/detectviz/switchyard/orchestrator"

// imports is the import declarations of one file.
type imports struct {
	local *types.Package
	names map[string]string // by path: how the package is called in the file
	real  map[string]string // by path: how it calls itself
	used  map[string]bool   // by path: code has been written that needs it
	own   names             // types of the package itself that are written
}

// importsOf names the packages that the methods' types need, and those that generated code may need besides. A name that is
// taken gets a number.
func (s *source) importsOf(contracts []*contract, taken names) *imports {
	im := &imports{local: s.local, names: map[string]string{}, used: map[string]bool{}, own: names{}, real: map[string]string{
		orchestratorPath: "orchestrator",
		"context":        "context",
	}}
	collect := func(t types.Type) {
		switch t := t.(type) {
		case *types.Basic:
			if t.Kind() == types.UnsafePointer {
				im.real["unsafe"] = "unsafe"
			}
		case *types.Named:
			im.add(t.Obj())
		case *types.Alias:
			im.add(t.Obj())
		}
	}
	for _, c := range contracts {
		im.add(c.object)
		for p := range c.parameters.TypeParams() {
			walk(p.Constraint(), collect)
		}
		for _, m := range c.methods {
			walk(m.signature, collect)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(im.real)) {
		im.names[p] = taken.fresh(im.real[p])
	}
	return im
}

func (im *imports) add(name *types.TypeName) {
	switch p := name.Pkg(); {
	case p == im.local:
		im.own[name.Name()] = true
	case p != nil:
		im.real[p.Path()] = p.Name()
	}
}

// use returns the name of a package, and has it imported.
func (im *imports) use(path string) string {
	im.used[path] = true
	return im.names[path]
}

// qualify is a types.Qualifier.
func (im *imports) qualify(p *types.Package) string {
	if p == im.local {
		return ""
	}
	return im.use(p.Path())
}

// write writes a type as code of the file.
func (im *imports) write(t types.Type) string {
	walk(t, func(t types.Type) {
		if b, ok := t.(*types.Basic); ok && b.Kind() == types.UnsafePointer {
			im.use("unsafe")
		}
	})
	return types.TypeString(t, im.qualify)
}

// declaration writes the imports that are used, those of the standard library first.
func (im *imports) declaration() string {
	var groups [2][]string
	for _, p := range slices.Sorted(maps.Keys(im.used)) {
		spec := fmt.Sprintf("%q", p)
		if im.names[p] != assumedName(p) {
			spec = im.names[p] + " " + spec
		}
		first, _, _ := strings.Cut(p, "/")
		group := 1
		if !strings.Contains(first, ".") {
			group = 0
		}
		groups[group] = append(groups[group], spec)
	}
	var parts []string
	for _, g := range groups {
		if len(g) > 0 {
			parts = append(parts, strings.Join(g, "\n"))
		}
	}
	return "import (\n" + strings.Join(parts, "\n\n") + "\n)\n"
}

var (
	majorVersion  = regexp.MustCompile(`^v[0-9]+$`)
	gopkgInSuffix = regexp.MustCompile(`\.v[0-9]+$`)
)

// assumedName is what a reader, and goimports, take for the name of the package at a path.
func assumedName(p string) string {
	base := path.Base(p)
	if majorVersion.MatchString(base) && path.Dir(p) != "." {
		base = path.Base(path.Dir(p))
	}
	return gopkgInSuffix.ReplaceAllString(base, "")
}
