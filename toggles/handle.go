package toggles

import (
	"sync/atomic"

	"github.com/detectviz/switchyard/orchestrator"
)

// Handle is a flag that code asks by itself, on each request or step: a behaviour inside a module, or a kill switch that is
// asked before each action. Asking costs an atomic load. A flag that switches a whole module needs no handle: that is what
// the module's proxy does.
//
// All methods are safe for concurrent use and never block.
type Handle struct {
	decision atomic.Pointer[orchestrator.Decision]
}

// Enabled reports whether the flag is on.
func (h *Handle) Enabled() bool { return h.decision.Load().Enabled }

// Variant is the variant that the flag names; "on" or "off" for a boolean.
func (h *Handle) Variant() string { return h.decision.Load().Variant }

// Decision is the decision in force.
func (h *Handle) Decision() orchestrator.Decision { return *h.decision.Load() }

// Handle returns the handle of a flag, and declares it: it is evaluated when its source changes, as those of modules are. It
// evaluates before it returns. Each call for a flag returns the same handle. The error is that of Declare.
func (g *Gate) Handle(flag string) (*Handle, error) {
	if err := g.Declare(orchestrator.FlagDeclaration{Name: flag}); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.handles[flag]
	if h == nil {
		h = &Handle{}
		h.decision.Store((*g.snapshot.Load())[flag])
		g.handles[flag] = h
	}
	return h, nil
}
