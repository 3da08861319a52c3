package example_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"testing"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/livegen/example"
)

type memory map[string]int

var _ example.Store[string, int] = memory(nil)

func (m memory) Get(_ context.Context, key string) (int, error) { return m[key], nil }

func (m memory) Put(_ context.Context, key string, value int) error { m[key] = value; return nil }

func (m memory) All() iter.Seq2[string, int] { return maps.All(m) }

func TestGenericProxy(t *testing.T) {
	t.Parallel()
	a := run(t, example.NoopStore[string, int](), example.LiveStore[string, int], example.Store[string, int](memory{}), longDrain)
	if err := a.value.Put(t.Context(), "a", 1); err != nil {
		t.Fatal(err)
	}
	if v, err := a.value.Get(t.Context(), "a"); v != 1 || err != nil {
		t.Errorf("Get returned %d, %v, want 1", v, err)
	}
	if got := maps.Collect(a.value.All()); len(got) != 1 || got["a"] != 1 {
		t.Errorf("All returned %v", got)
	}
	a.requireLeases(t, 0)

	a.toggle(t, false)
	if v, err := a.value.Get(t.Context(), "a"); v != 0 || !errors.Is(err, orchestrator.ErrDisabled) {
		t.Errorf("the noop's Get returned %d, %v, want 0 and ErrDisabled", v, err)
	}
	for k, v := range a.value.All() {
		t.Errorf("the noop's All has %q: %d", k, v)
	}
	if got := a.status(t).NoopCalls; got != 2 {
		t.Errorf("%d calls of the noop were counted, want 2", got)
	}
}
