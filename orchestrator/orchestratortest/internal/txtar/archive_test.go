package txtar_test

import (
	"testing"

	original "golang.org/x/tools/txtar"

	"github.com/detectviz/switchyard/orchestrator/orchestratortest/internal/txtar"
)

// FuzzParse compares with the package that defines the format.
func FuzzParse(f *testing.F) {
	f.Add("comment\n-- flags --\nstore on\n-- transcript --\n")
	f.Add("-- flags --\r\nstore on\r\n-- script --\r\nenable api")
	f.Add("-- a --\n--  --\n-- --\n----\n -- b --\n-- c --trailing\n-- d --\r")
	f.Add("-- a --\n-- a --\n-- \t b  -- --")
	f.Fuzz(func(t *testing.T, text string) {
		want, got := original.Parse([]byte(text)), txtar.Parse(text)
		if got.Comment != string(want.Comment) || len(got.Files) != len(want.Files) {
			t.Fatalf("%q: got %q, want %q", text, got, want)
		}
		for i, file := range want.Files {
			if got.Files[i].Name != file.Name || got.Files[i].Text != string(file.Data) {
				t.Errorf("%q: file %d: got %q, want %q", text, i, got.Files[i], file)
			}
		}
		if got.String() != string(original.Format(want)) {
			t.Errorf("%q: written as %q, want %q", text, got.String(), original.Format(want))
		}
	})
}

func TestWith(t *testing.T) {
	t.Parallel()
	a := txtar.Parse("about\n-- a --\n1\n-- b --\n2\n")
	if got, want := a.With("a", "3").String(), "about\n-- a --\n3\n-- b --\n2\n"; got != want {
		t.Errorf("replaced: %q, want %q", got, want)
	}
	if got, want := a.With("c", "3\n").String(), "about\n-- a --\n1\n-- b --\n2\n-- c --\n3\n"; got != want {
		t.Errorf("added: %q, want %q", got, want)
	}
	if got := a.Text("a") + a.Text("b") + a.Text("c"); got != "1\n2\n" {
		t.Errorf("the archive itself has changed: %q", got)
	}
}
