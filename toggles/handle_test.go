package toggles_test

import (
	"sync"
	"testing"

	"github.com/detectviz/switchyard/toggles"
)

// A handle follows its flag, whichever layer decides, and is the same for all who ask.
func TestHandle(t *testing.T) {
	t.Parallel()
	g := newGate(t, toggles.GateOptions{})
	g.Apply(flags(file("dryrun", true)))
	h, err := g.Handle("dryrun")
	must(t, err)
	if again, err := g.Handle("dryrun"); err != nil || again != h {
		t.Errorf("another handle %p (%v), want %p", again, err, h)
	}
	if !h.Enabled() || h.Variant() != "on" || h.Decision().Source == "" {
		t.Errorf("decision %+v, want on", h.Decision())
	}
	g.Apply(flags(file("dryrun", "approve")))
	if !h.Enabled() || h.Variant() != "approve" {
		t.Errorf("decision %+v, want approve", h.Decision())
	}
	f := flags(file("dryrun", true))
	f.Disabled = []toggles.Kill{{Name: "dryrun", Source: "test"}}
	g.Apply(f)
	if h.Enabled() || h.Variant() != "off" || h.Decision().Layer != toggles.LayerKillList {
		t.Errorf("decision %+v, want off by the kill list", h.Decision())
	}
	if unknown := g.Unknown(); len(unknown) > 0 {
		t.Errorf("unknown %+v, want none: the handle declares the flag", unknown)
	}
	never, err := g.Handle("nobody-says-anything")
	must(t, err)
	if never.Enabled() || never.Decision().Layer != toggles.LayerDefault {
		t.Errorf("decision %+v, want off by default", never.Decision())
	}
	for _, denied := range []string{"authorization", ""} {
		if h, err := g.Handle(denied); err == nil {
			t.Errorf("a handle %p for the flag %q", h, denied)
		}
	}
}

// Asking while decisions are published is safe, and never sees half of one.
func TestHandleWhileFlagsChange(t *testing.T) {
	t.Parallel()
	g := newGate(t, toggles.GateOptions{})
	h, err := g.Handle("flip")
	must(t, err)
	done := make(chan struct{})
	var askers sync.WaitGroup
	for range 4 {
		askers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if d := h.Decision(); d.Enabled != (d.Variant == "on") {
					t.Errorf("half a decision: %+v", d)
				}
			}
		})
	}
	for i := range 200 {
		g.Apply(flags(file("flip", i%2 == 1)))
		if h.Enabled() != (i%2 == 1) {
			t.Errorf("change %d: the handle says %t", i, h.Enabled())
		}
	}
	close(done)
	askers.Wait()
}
