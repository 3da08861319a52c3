// Package togglestest makes flags for one test, without any shared state.
package togglestest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles"
)

// Gate is a real gate whose flags the test sets. All methods are safe for concurrent use.
type Gate struct {
	*toggles.Gate

	t        testing.TB
	mu       sync.Mutex
	values   map[string]any
	declared bool
}

var _ orchestrator.Gate = (*Gate)(nil)

// New returns a started gate with these flags: bools, or names of variants. It stops when the test ends, and then fails the
// test if modules declared flags and the test set one that is not among them: a misspelled flag tests nothing.
func New(t testing.TB, flags map[string]any) *Gate {
	t.Helper()
	gate, err := toggles.NewGate(toggles.GateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g := &Gate{Gate: gate, t: t, values: map[string]any{}}
	for _, flag := range slices.Sorted(maps.Keys(flags)) {
		g.put(flag, flags[flag])
	}
	gate.Apply(g.flags())
	if err := gate.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.close)
	return g
}

// Declare implements orchestrator.Gate.
func (g *Gate) Declare(flags ...orchestrator.FlagDeclaration) error {
	g.mu.Lock()
	g.declared = true
	g.mu.Unlock()
	return g.Gate.Declare(flags...)
}

// Set changes one flag. The decision is in force when Set returns.
func (g *Gate) Set(flag string, value any) {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.put(flag, value)
	g.Apply(g.flags())
}

func (g *Gate) put(flag string, value any) {
	g.t.Helper()
	switch value.(type) {
	case bool, string:
		g.values[flag] = value
	default:
		g.t.Errorf("flag %q: value %v: allowed: a bool or the name of a variant", flag, value)
	}
}

func (g *Gate) flags() toggles.Flags {
	var f toggles.Flags
	for _, name := range slices.Sorted(maps.Keys(g.values)) {
		f.Toggles = append(f.Toggles, toggles.Toggle{Name: name, Value: g.values[name], Layer: toggles.LayerOverride, Source: "test"})
	}
	return f
}

const stopTimeout = 10 * time.Second

func (g *Gate) close() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := g.Stop(ctx); err != nil {
		g.t.Error(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.declared {
		return
	}
	for _, u := range g.Unknown() {
		g.t.Errorf("the test sets the flag %q, which no module declared (nearest: %q)", u.Name, u.Nearest)
	}
}
