package generator

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
)

// directives is what a comment on a method tells the generator.
type directives struct {
	plain string // //livegen:plain <reason>: forward although a result outlives the call
	lasts bool   // //livegen:lasts: the call may last, so its context is derived from the lease
}

const directivePrefix = "//livegen:"

// directivesOf reads the comments on a method where it is declared. That may be in another package: sources are read for
// the comments only.
func (s *source) directivesOf(fn *types.Func) (directives, error) {
	var d directives
	if fn.Pkg() == nil { // Error of the built-in error
		return d, nil
	}
	fields, err := s.commentsIn(fn.Pkg())
	if err != nil {
		return d, err
	}
	field := fields[lineOf(s.files.Position(fn.Pos()))]
	if field == nil {
		return d, nil
	}
	for _, group := range []*ast.CommentGroup{field.Doc, field.Comment} {
		if group == nil {
			continue
		}
		for _, comment := range group.List {
			text, ok := strings.CutPrefix(comment.Text, directivePrefix)
			if !ok {
				continue
			}
			if err := d.add(text); err != nil {
				return d, err
			}
		}
	}
	return d, nil
}

func (d *directives) add(text string) error {
	name, argument, _ := strings.Cut(text, " ")
	argument = strings.TrimSpace(argument)
	switch name {
	case "plain":
		if argument == "" {
			return fmt.Errorf("%splain: no reason: say why the result may be used when the module has stopped", directivePrefix)
		}
		d.plain = argument
	case "lasts":
		if argument != "" {
			return fmt.Errorf("%slasts: %q: no argument is allowed", directivePrefix, argument)
		}
		d.lasts = true
	default:
		return fmt.Errorf("%s%s is unknown: allowed are %[1]splain <reason> and %[1]slasts", directivePrefix, name)
	}
	return nil
}

// line is where a method is declared. Export data knows no columns, and may know the file's folder by another name.
type line struct {
	file string
	line int
}

func lineOf(p token.Position) line { return line{filepath.Base(p.Filename), p.Line} }

// commentsIn finds the methods of interfaces in the sources of a package.
func (s *source) commentsIn(pkg *types.Package) (map[line]*ast.Field, error) {
	if found := s.comments[pkg.Path()]; found != nil {
		return found, nil
	}
	files, syntax := s.files, s.syntax
	if pkg != s.local {
		listed := s.packages[pkg.Path()]
		if listed == nil {
			return nil, fmt.Errorf("package %q can't be read for comments: the go command does not find it", pkg.Path())
		}
		files, syntax = token.NewFileSet(), nil
		for _, name := range listed.GoFiles {
			file, err := parser.ParseFile(files, filepath.Join(listed.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			syntax = append(syntax, file)
		}
	}
	found := map[line]*ast.Field{}
	for _, file := range syntax {
		ast.Inspect(file, func(n ast.Node) bool {
			if i, ok := n.(*ast.InterfaceType); ok {
				for _, f := range i.Methods.List {
					for _, name := range f.Names {
						found[lineOf(files.Position(name.Pos()))] = f
					}
				}
			}
			return true
		})
	}
	s.comments[pkg.Path()] = found
	return found, nil
}
