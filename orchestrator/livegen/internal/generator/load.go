package generator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// source is the package that the code is for, type-checked from its files, and what it imports, read from export data.
type source struct {
	dir      string
	files    *token.FileSet
	packages map[string]*listed // by import path
	own      *listed
	local    *types.Package
	syntax   []*ast.File
	wrong    []types.Error // what the type checker found in the package; code that waits to be generated leaves gaps
	importer types.Importer
	comments map[string]map[line]*ast.Field // of methods, by import path
}

// listed is what the go command says of a package.
type listed struct {
	ImportPath, Name, Dir, Export string
	GoFiles, CgoFiles             []string
	ImportMap                     map[string]string
	DepOnly                       bool
	Module                        *struct{ GoVersion string }
	Error                         *struct{ Pos, Err string }
}

// load finds the package in dir, and the packages of foreign interfaces.
func load(ctx context.Context, dir string, foreign []string) (*source, error) {
	s := &source{dir: dir, files: token.NewFileSet(), comments: map[string]map[line]*ast.Field{}}
	var err error
	if s.own, err = s.list(ctx, append([]string{"."}, foreign...)); err != nil {
		return nil, err
	}
	for _, path := range foreign {
		if p := s.packages[path]; p == nil || p.Name == "" || (p.Export == "" && p != s.own) {
			return nil, fmt.Errorf("-type: package %q can't be loaded: %s", path, p.problem())
		}
	}
	s.importer = importer.ForCompiler(s.files, "gc", s.exportData)
	return s, nil
}

func (p *listed) problem() string {
	if p == nil || p.Error == nil {
		return "the go command does not find it"
	}
	return strings.TrimSpace(p.Error.Err)
}

// list asks the go command for the packages and all that they import, compiled. Packages that don't compile are listed too:
// those that wait for the code to be generated are among them.
func (s *source) list(ctx context.Context, patterns []string) (own *listed, err error) {
	args := append([]string{"list", "-e", "-export", "-deps",
		"-json=ImportPath,Name,Dir,Export,GoFiles,CgoFiles,ImportMap,DepOnly,Module,Error", "--"}, patterns...)
	cmd := exec.CommandContext(ctx, "go", args...) // #nosec G204 -- the go command, with import paths
	var out, errOut bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, &out, &errOut
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go list in %q: %w\n%s", s.dir, err, strings.TrimSpace(errOut.String()))
	}
	here, err := os.Stat(s.dir)
	if err != nil {
		return nil, err
	}
	s.packages = map[string]*listed{}
	for d := json.NewDecoder(&out); ; {
		p := &listed{}
		if err := d.Decode(p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("output of go list in %q: %w", s.dir, err)
		}
		s.packages[p.ImportPath] = p
		if there, err := os.Stat(p.Dir); !p.DepOnly && err == nil && os.SameFile(here, there) {
			own, s.dir = p, p.Dir
		}
	}
	if own == nil {
		return nil, fmt.Errorf("no Go package in %q", s.dir)
	}
	if own.Name == "" || len(own.GoFiles)+len(own.CgoFiles) == 0 {
		return nil, fmt.Errorf("package in %q: %s", s.dir, own.problem())
	}
	return own, nil
}

// exportData opens the compiled form of a package.
func (s *source) exportData(path string) (io.ReadCloser, error) {
	p := s.packages[path]
	if p == nil || p.Export == "" {
		return nil, fmt.Errorf("package %q can't be loaded: %s", path, p.problem())
	}
	return os.Open(p.Export)
}

// check parses and type-checks the package, without the files that are going to be written. Errors of types are kept: they
// matter only where the interface needs them.
func (s *source) check(outputs []string) error {
	own := s.own
	var errs []error
	for _, name := range slices.Concat(own.GoFiles, own.CgoFiles) {
		if slices.Contains(outputs, name) {
			continue
		}
		path := filepath.Join(own.Dir, name)
		file, err := parser.ParseFile(s.files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.syntax = append(s.syntax, file)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	config := types.Config{
		Importer:    mappedImporter{s, own.ImportMap},
		FakeImportC: true,
		Sizes:       types.SizesFor("gc", build.Default.GOARCH),
		Error: func(err error) {
			if wrong := (types.Error{}); errors.As(err, &wrong) {
				s.wrong = append(s.wrong, wrong)
			}
		},
	}
	if own.Module != nil && own.Module.GoVersion != "" {
		config.GoVersion = "go" + own.Module.GoVersion
	}
	// The path is what export data of other packages calls this one, so that types are the same wherever they come from.
	s.local, _ = config.Check(own.ImportPath, s.files, s.syntax, nil) // errors are in s.wrong
	return nil
}

// mappedImporter resolves the paths that the package's files write.
type mappedImporter struct {
	source *source
	paths  map[string]string
}

func (m mappedImporter) Import(path string) (*types.Package, error) {
	if actual, ok := m.paths[path]; ok {
		path = actual
	}
	return m.source.importer.Import(path)
}

// position of something in the sources, relative to the package's folder if it is in there.
func (s *source) position(pos token.Pos) token.Position {
	p := s.files.Position(pos)
	if !slices.ContainsFunc(s.syntax, func(f *ast.File) bool { return f.FileStart <= pos && pos <= f.FileEnd }) {
		p.Column = 0 // export data has none
	}
	if rel, err := filepath.Rel(s.dir, p.Filename); err == nil && filepath.IsLocal(rel) {
		p.Filename = rel
	}
	return p
}
