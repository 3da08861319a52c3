package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages are those whose code is checked.
func pages(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("howto/*.md")
	if err != nil || len(all) < 8 {
		t.Fatalf("%d pages, want 8 or more: %v", len(all), err)
	}
	return append(all, "README.md", "../CONTRIBUTING.md")
}

func TestSnippetsAreCompiledCode(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, page := range pages(t) {
		blocks, err := blocksOf(page)
		if err != nil {
			t.Error(err)
		}
		for _, b := range blocks {
			if b.page == "../CONTRIBUTING.md" && b.language == "sh" {
				continue // make targets, which .ci/run runs
			}
			if err := b.check(); err != nil {
				t.Error(err)
			}
			if b.kind != "" {
				checked++
			}
		}
	}
	if checked < 30 {
		t.Errorf("%d blocks were checked, want those of all pages", checked)
	}
}

// TestChecker says what the other test finds.
func TestChecker(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		page string
		want string // in the error; empty: none
	}{
		"a declaration":       {page: "<!-- from a.go#T.M -->\n```go\nfunc (t *T) M() {\n\treturn\n}\n```\n"},
		"other white space":   {page: "<!-- from a.go -->\n```go\nfunc (t *T) M() { return }\n```\n"},
		"output":              {page: "<!-- output of a.go#Example -->\n```\none\ntwo\n```\n"},
		"part of it":          {page: "<!-- output of a.go#Example -->\n```text\ntwo\n```\n"},
		"another language":    {page: "```yaml\na: 1\n```\n"},
		"changed code":        {page: "<!-- from a.go -->\n```go\nfunc (t *T) M() { panic(0) }\n```\n", want: "not in a.go"},
		"in another one":      {page: "<!-- from a.go#Example -->\n```go\ntype T struct{}\n```\n", want: "not in a.go#Example"},
		"no source":           {page: "```go\ntype T struct{}\n```\n", want: "page.md:1: Go code without"},
		"not just above":      {page: "<!-- from a.go -->\n\n```go\ntype T struct{}\n```\n", want: "page.md:3: Go code without"},
		"no such file":        {page: "<!-- from b.go -->\n```go\ntype T struct{}\n```\n", want: "b.go"},
		"no such declaration": {page: "<!-- from a.go#U -->\n```go\ntype T struct{}\n```\n", want: "declares no U"},
		"not compiled":        {page: "<!-- from c.go -->\n```go\npackage c\n```\n", want: "c.go is not compiled"},
		"nothing":             {page: "<!-- from a.go -->\n```go\n```\n", want: "not in a.go"},
		"other output":        {page: "<!-- output of a.go#Example -->\n```\nthree\n```\n", want: "not in a.go"},
		"code is no output":   {page: "<!-- output of a.go#Example -->\n```\nprintln()\n```\n", want: "not in a.go"},
		"commands":            {page: "```sh\nls\n```\n", want: "commands without"},
		"no end":              {page: "```sh\nls\n", want: "no end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, content := range map[string]string{
				"page.md": tt.page,
				"a.go":    "package a\n\ntype T struct{}\n\nfunc (t *T) M() {\n\treturn\n}\n\nfunc Example() {\n\tprintln()\n\t// Output:\n\t// one\n\t// two\n}\n",
				"c.go":    "//go:build ignore\n\npackage c\n",
			} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			blocks, err := blocksOf(filepath.Join(dir, "page.md"))
			for _, b := range blocks {
				err = b.check()
			}
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)#]*)(?:#([^)]*))?\)`)
	fence   = regexp.MustCompile("(?ms)^```.*?^```$|`[^`\n]+`")
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N}\- ]`)
)

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, page := range append(pages(t), "architecture.md") {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(string(content), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			to := page
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(page), m[1])
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: %v", page, err)
			} else if m[2] != "" && !slices.Contains(anchors(t, to), m[2]) {
				t.Errorf("%s: %s has no heading for #%s", page, to, m[2])
			}
		}
	}
}

// anchors are what links may name after #.
func anchors(t *testing.T, page string) []string {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range heading.FindAllStringSubmatch(string(content), -1) {
		name := dropped.ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

func TestContentsListAllPages(t *testing.T) {
	t.Parallel()
	contents, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages(t) {
		if filepath.Dir(page) == "howto" && !strings.Contains(string(contents), "]("+page+")") {
			t.Errorf("README.md has no link to %s", page)
		}
	}
}
