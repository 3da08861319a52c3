package example_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestSnippetsAreCompiledCode looks for every Go snippet of CONTRIBUTING.md in the sources of this folder, line by line.
func TestSnippetsAreCompiledCode(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	here := os.DirFS(".")
	err = fs.WalkDir(here, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		source, err := fs.ReadFile(here, path)
		sources.Write(source)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	snippets := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(snippets) < 4 {
		t.Fatalf("%d snippets, want one for each step that has code", len(snippets))
	}
	for _, snippet := range snippets {
		// An empty line in a snippet may stand for code that it leaves out.
		for part := range strings.SplitSeq(strings.TrimSpace(snippet[1]), "\n\n") {
			if !strings.Contains(sources.String(), part) {
				t.Errorf("CONTRIBUTING.md has code that is in no source of this folder:\n%s", part)
			}
		}
	}
}
