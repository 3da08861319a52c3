package importrules

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// Package is what the rules need to know of one package.
type Package struct {
	ImportPath     string
	Name           string
	Dir            string
	Doc            string // first sentence of the package comment
	Standard       bool
	Module         *Module // nil in the standard library
	GoFiles        []string
	IgnoredGoFiles []string // for other systems, and with build tags
	Imports        []string
	TestImports    []string
	XTestImports   []string
	Deps           []string // all that it links, sorted
}

// Module is the module that a package belongs to.
type Module struct {
	Path string
	Main bool
}

// Graph is the import graph of a module. It is read-only after Load.
type Graph struct {
	Module   string // path of the main module
	Packages []*Package
	byPath   map[string]*Package
}

// Load reads the import graph of the module in dir: its own packages, and everything that they and their tests import,
// directly or not. It parses import clauses only, so it needs neither compiled packages nor type information. It blocks
// until the go command has ended; modules that go.mod requires are downloaded if they are missing.
func Load(ctx context.Context, dir string) (*Graph, error) {
	own, err := list(ctx, dir, "./...")
	if err != nil {
		return nil, err
	}
	roots := []string{"./..."}
	for _, p := range own {
		roots = append(append(roots, p.TestImports...), p.XTestImports...)
	}
	slices.Sort(roots)
	all, err := list(ctx, dir, append([]string{"-deps"}, slices.Compact(roots)...)...)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.Module != nil && p.Module.Main {
			return NewGraph(p.Module.Path, all...), nil
		}
	}
	return nil, fmt.Errorf("no package of a main module in %q", dir)
}

// NewGraph makes a graph of the packages of a module and of what they import.
func NewGraph(module string, packages ...*Package) *Graph {
	g := &Graph{Module: module, Packages: packages, byPath: make(map[string]*Package, len(packages))}
	for _, p := range packages {
		g.byPath[p.ImportPath] = p
	}
	return g
}

// own returns the packages of the module itself.
func (g *Graph) own() []*Package {
	var own []*Package
	for _, p := range g.Packages {
		if p.Module != nil && p.Module.Main {
			own = append(own, p)
		}
	}
	return own
}

// rel is an import path as the patterns spell it.
func (g *Graph) rel(path string) string {
	if rest, ok := strings.CutPrefix(path, g.Module); ok && (rest == "" || rest[0] == '/') {
		return "." + rest
	}
	return path
}

func list(ctx context.Context, dir string, args ...string) ([]*Package, error) {
	const fields = "-json=ImportPath,Name,Dir,Doc,Standard,Module,GoFiles,IgnoredGoFiles,Imports,TestImports,XTestImports,Deps"
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", fields}, args...)...) // #nosec G204 -- the arguments are import paths of this module
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errOut
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go list in %q: %w\n%s", dir, err, errOut.String())
	}
	var packages []*Package
	for decoder := json.NewDecoder(&out); ; {
		p := new(Package)
		switch err := decoder.Decode(p); {
		case errors.Is(err, io.EOF):
			return packages, nil
		case err != nil:
			return nil, fmt.Errorf("output of go list: %w", err)
		}
		packages = append(packages, p)
	}
}
