package generator_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/detectviz/switchyard/orchestrator/livegen/internal/generator"
)

var update = flag.Bool("update", false, "write what livegen writes now to testdata")

// Each archive in testdata has a package, the commands that are run in it, one on each line of its comment, and what they
// write: files below "want/", and what was printed as "printed". A line that starts with "fail" expects the exit code 1.
//
//	go test ./orchestrator/livegen/internal/generator -update
func TestGolden(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives in testdata: %v", err)
	}
	root := newModule(t)
	var compiles []string
	for _, path := range archives {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(archive.Comment), "\nfail") {
			compiles = append(compiles, "./"+name+"/...")
		}
	}
	t.Run("archives", func(t *testing.T) {
		for _, path := range archives {
			name := strings.TrimSuffix(filepath.Base(path), ".txtar")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				golden(t, path, filepath.Join(root, name))
			})
		}
	})
	if t.Failed() {
		return
	}
	vet := exec.CommandContext(t.Context(), "go", append([]string{"vet"}, compiles...)...)
	vet.Dir = root
	if out, err := vet.CombinedOutput(); err != nil {
		t.Errorf("what livegen wrote does not pass go vet: %v\n%s", err, out)
	}
}

// newModule makes a module that uses this one, as a user's would.
func newModule(t *testing.T) string {
	t.Helper()
	self, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	mod, err := os.ReadFile(filepath.Join(self, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	const path = "github.com/detectviz/switchyard"
	_, rest, _ := strings.Cut(string(mod), "module "+path+"\n")
	mod = fmt.Appendf(nil, "module golden.test\n\nrequire %s v0.0.0\n\nreplace %[1]s => %s\n%s", path, self, rest)
	sum, err := os.ReadFile(filepath.Join(self, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(root, "go.mod"), mod)
	writeFile(t, filepath.Join(root, "go.sum"), sum)
	return root
}

func golden(t *testing.T, path, dir string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := &txtar.Archive{Comment: archive.Comment}
	for _, f := range archive.Files {
		if !strings.HasPrefix(f.Name, "want/") && f.Name != "printed" {
			writeFile(t, filepath.Join(dir, f.Name), f.Data)
			got.Files = append(got.Files, f)
		}
	}
	inputs := tree(t, dir)

	var printed bytes.Buffer
	for command := range strings.Lines(string(archive.Comment)) {
		words := strings.Fields(command)
		want := 0
		if len(words) > 0 && words[0] == "fail" {
			words, want = words[1:], 1
		}
		if len(words) == 0 || words[0] != "livegen" {
			continue
		}
		if code := generator.Command(t.Context(), dir, words[1:], "gen.go:1", &printed, &printed); code != want {
			t.Errorf("%s ended with code %d, want %d; it printed\n%s", strings.Join(words, " "), code, want, &printed)
		}
	}
	for _, name := range tree(t, dir) {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(inputs, name) {
			got.Files = append(got.Files, txtar.File{Name: "want/" + name, Data: content})
		}
	}
	if printed.Len() > 0 {
		got.Files = append(got.Files, txtar.File{Name: "printed", Data: bytes.ReplaceAll(bytes.ReplaceAll(printed.Bytes(), []byte(dir+"/"), nil), []byte(dir), []byte("."))})
	}
	if *update {
		writeFile(t, path, txtar.Format(got))
		return
	}
	if g, w := txtar.Format(got), txtar.Format(archive); !bytes.Equal(g, w) {
		t.Errorf("got\n%s\nwant what %s has; if the new is right, run the test with -update", g, path)
	}
}

// tree lists the files below dir, sorted.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		names = append(names, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}
