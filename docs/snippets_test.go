package docs_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// block is a fenced block of a page, with the comment on the line above it.
type block struct {
	page, language, text string
	line                 int
	kind, file, name     string // <!-- kind file#name -->
}

// The comments above blocks: where code and output are from, which test runs commands, and what they print.
var directive = regexp.MustCompile(`^<!-- (from|output of|run with|prints)(?: (\S+?)(?:#(\S+))?)? -->$`)

// blocksOf returns the fenced blocks of a page.
func blocksOf(page string) ([]block, error) {
	content, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	var all []block
	var open *block
	above := ""
	for i, line := range strings.Split(string(content), "\n") {
		switch {
		case open == nil && strings.HasPrefix(line, "```"):
			open = &block{page: page, language: strings.TrimPrefix(line, "```"), line: i + 1}
			if m := directive.FindStringSubmatch(above); m != nil {
				open.kind, open.file, open.name = m[1], m[2], m[3]
			}
		case open != nil && line == "```":
			all, open = append(all, *open), nil
		case open != nil:
			open.text += line + "\n"
		}
		above = line
	}
	if open != nil {
		return nil, fmt.Errorf("%s:%d: the block has no end", page, open.line)
	}
	return all, nil
}

// check returns what is wrong with a block: Go code must be in a compiled file, output in what an example is tested for, and
// commands must name the test that runs them.
func (b block) check() error {
	path := filepath.Join(filepath.Dir(b.page), b.file)
	switch {
	case b.kind == "" && b.language == "go":
		return b.wrong("Go code without <!-- from file.go --> on the line above it")
	case b.kind == "" && b.language == "sh":
		return b.wrong("commands without <!-- run with file_test.go --> on the line above them")
	case b.kind == "", b.kind == "prints":
		return nil
	case b.kind == "run with":
		if _, err := os.Stat(path); err != nil {
			return b.wrong(err.Error())
		}
		return nil
	}
	source, err := b.source(path)
	if err != nil {
		return b.wrong(err.Error())
	}
	if b.kind == "output of" {
		_, source, _ = strings.Cut(source, "// Output:")
		source = strings.ReplaceAll(source, "// ", "")
	}
	if strings.TrimSpace(b.text) == "" || !strings.Contains(normal(source), normal(b.text)) {
		return b.wrong(fmt.Sprintf("not in %s#%s:\n%s", b.file, b.name, b.text))
	}
	return nil
}

func (b block) wrong(what string) error { return fmt.Errorf("%s:%d: %s", b.page, b.line, what) }

// normal is the text with each run of white space as one space.
func normal(text string) string { return strings.Join(strings.Fields(text), " ") }

// source is what the block is cut from: a file, or one declaration in it. Go files must be compiled.
func (b block) source(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil || filepath.Ext(path) != ".go" {
		return string(content), err
	}
	if compiled, err := build.Default.MatchFile(filepath.Dir(path), filepath.Base(path)); err != nil || !compiled {
		return "", errors.Join(fmt.Errorf("%s is not compiled", b.file), err)
	}
	if b.name == "" {
		return string(content), nil
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, content, parser.ParseComments)
	if err != nil {
		return "", err
	}
	for _, d := range file.Decls {
		if from, ok := declares(d, b.name); ok {
			return string(content[files.Position(from).Offset:files.Position(d.End()).Offset]), nil
		}
	}
	return "", fmt.Errorf("%s declares no %s", b.file, b.name)
}

// declares reports whether d declares a name, such as Mailer or spoolMailer.Send, and where it begins with its comment.
func declares(d ast.Decl, name string) (from token.Pos, ok bool) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		full := d.Name.Name
		if d.Recv != nil {
			receiver := d.Recv.List[0].Type
			if pointer, ok := receiver.(*ast.StarExpr); ok {
				receiver = pointer.X
			}
			full = fmt.Sprintf("%s.%s", receiver, full)
		}
		return begin(d, d.Doc), full == name
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				ok = ok || s.Name.Name == name
			case *ast.ValueSpec:
				ok = ok || s.Names[0].Name == name
			}
		}
		return begin(d, d.Doc), ok
	}
	return 0, false
}

func begin(d ast.Decl, doc *ast.CommentGroup) token.Pos {
	if doc != nil {
		return doc.Pos()
	}
	return d.Pos()
}
