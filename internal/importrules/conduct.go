package importrules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

// Conduct is what library code may not do: run code when it is linked, panic, or end the process. Programs may.
type Conduct struct{ Exceptions []Exception }

// Exception allows one thing in one file, or in the files of one folder.
type Exception struct {
	Path string // slash-separated, from the root of the module
	What string // "init", "panic", "os.Exit", ...
	Why  string
}

// Check returns what breaks the rule, sorted, and exceptions that nothing needs; empty if all is well. The error is about
// sources that can't be read.
func (c Conduct) Check(g *Graph) ([]string, error) {
	var found []string
	used := make([]bool, len(c.Exceptions))
	for _, p := range g.own() {
		if p.Name == "main" {
			continue
		}
		for _, name := range slices.Concat(p.GoFiles, p.IgnoredGoFiles) {
			if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "zz_generated") {
				continue
			}
			deeds, err := deedsOf(filepath.Join(p.Dir, name))
			if err != nil {
				return nil, err
			}
			folder := strings.TrimPrefix(g.rel(p.ImportPath), "./")
			for _, d := range deeds {
				i := slices.IndexFunc(c.Exceptions, func(e Exception) bool {
					return e.What == d.what && (e.Path == folder || e.Path == folder+"/"+name)
				})
				if i < 0 {
					found = append(found, fmt.Sprintf("%s/%s:%d: %s in library code", folder, name, d.line, d.what))
					continue
				}
				used[i] = true
			}
		}
	}
	for i, e := range c.Exceptions {
		if !used[i] {
			found = append(found, fmt.Sprintf("the exception for %s in %q is not needed: remove it", e.What, e.Path))
		}
	}
	slices.Sort(found)
	return found, nil
}

type deed struct {
	what string
	line int
}

// deedsOf finds what a file does that library code may not. It goes by name: a local variable that shadows panic, os or log
// is taken for the real one.
func deedsOf(path string) ([]deed, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var deeds []deed
	add := func(n ast.Node, what string) {
		deeds = append(deeds, deed{what: what, line: files.Position(n.Pos()).Line})
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				add(n, "init")
			}
		case *ast.CallExpr:
			if what := callee(n); isEnd(what) {
				add(n, what)
			}
		}
		return true
	})
	return deeds, nil
}

func callee(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
	}
	return ""
}

// isEnd reports whether a call of that name panics or ends the process.
func isEnd(name string) bool {
	switch name {
	case "panic", "os.Exit", "syscall.Exit", "unix.Exit":
		return true
	}
	pkg, function, _ := strings.Cut(name, ".")
	return (pkg == "log" || pkg == "klog") && (strings.HasPrefix(function, "Fatal") || strings.HasPrefix(function, "Panic") || strings.HasPrefix(function, "Exit"))
}
