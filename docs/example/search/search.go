// Package search has a module in many forms: one for each way in which a module can be switched.
package search

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/detectviz/switchyard/orchestrator"
)

//go:generate go tool livegen -type Index

// Index finds pages. All methods are safe for concurrent use.
type Index interface {
	// Find returns the names of the pages that hold the word, sorted.
	Find(ctx context.Context, word string) ([]string, error)
}

// Settings are what an app supplies.
type Settings struct {
	Pages map[string]string // text by name
}

// export is the same in all forms of the module.
func export() orchestrator.ModuleOption { return orchestrator.Export(noopIndex(), liveIndex) }

// scan reads all pages for each call.
type scan struct{ pages map[string]string }

var _ Index = (*scan)(nil)

func newScan(s Settings) Index { return &scan{s.Pages} }

func (s *scan) Find(ctx context.Context, word string) ([]string, error) {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(s.pages)) {
		if strings.Contains(s.pages[name], word) {
			found = append(found, name)
		}
	}
	return found, ctx.Err()
}

// words knows in advance which pages hold a word.
type words struct{ pages map[string][]string }

var _ Index = (*words)(nil)

func newWords(s Settings) Index {
	w := &words{map[string][]string{}}
	for _, name := range slices.Sorted(maps.Keys(s.Pages)) {
		for word := range strings.FieldsSeq(s.Pages[name]) {
			if !slices.Contains(w.pages[word], name) {
				w.pages[word] = append(w.pages[word], name)
			}
		}
	}
	return w
}

func (w *words) Find(_ context.Context, word string) ([]string, error) {
	return slices.Clone(w.pages[word]), nil
}
