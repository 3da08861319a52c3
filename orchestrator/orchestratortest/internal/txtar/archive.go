// Package txtar reads and writes files in which several texts are one: a comment, then each text below a line "-- name --".
// The format is that of golang.org/x/tools/txtar, which the engine's packages do without: they link the standard library and
// fx only.
package txtar

import (
	"fmt"
	"slices"
	"strings"
)

// Archive is the content of such a file.
type Archive struct {
	Comment string
	Files   []File
}

// File is one text with its name.
type File struct{ Name, Text string }

// Parse reads an archive. Any text is one: without a line that begins a file, it is all comment.
func Parse(text string) Archive {
	var a Archive
	start := 0
	end := func(at int) {
		if len(a.Files) == 0 {
			a.Comment = complete(text[start:at])
			return
		}
		a.Files[len(a.Files)-1].Text = complete(text[start:at])
	}
	at := 0
	for line := range strings.Lines(text) {
		next := at + len(line)
		if name, ok := marker(line); ok {
			end(at)
			a.Files = append(a.Files, File{Name: name})
			start = next
		}
		at = next
	}
	end(at)
	return a
}

// complete ends the last line.
func complete(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}

// marker returns the name in a line that begins a file.
func marker(line string) (name string, ok bool) {
	if whole, found := strings.CutSuffix(line, "\n"); found {
		line = strings.TrimSuffix(whole, "\r")
	}
	const prefix, suffix = "-- ", " --"
	if len(line) < len(prefix)+len(suffix) || !strings.HasPrefix(line, prefix) || !strings.HasSuffix(line, suffix) {
		return "", false
	}
	name = strings.TrimSpace(line[len(prefix) : len(line)-len(suffix)])
	return name, name != ""
}

// String is the archive as a file's content.
func (a Archive) String() string {
	var text strings.Builder
	text.WriteString(complete(a.Comment))
	for _, f := range a.Files {
		fmt.Fprintf(&text, "-- %s --\n%s", f.Name, complete(f.Text))
	}
	return text.String()
}

// Text returns the first file of that name; empty if there is none.
func (a Archive) Text(name string) string {
	if i := a.index(name); i >= 0 {
		return a.Files[i].Text
	}
	return ""
}

// With returns the archive with another text for the first file of that name, which is added if there is none.
func (a Archive) With(name, text string) Archive {
	a.Files = slices.Clone(a.Files)
	if i := a.index(name); i >= 0 {
		a.Files[i].Text = text
		return a
	}
	a.Files = append(a.Files, File{Name: name, Text: text})
	return a
}

func (a Archive) index(name string) int {
	return slices.IndexFunc(a.Files, func(f File) bool { return f.Name == name })
}
