package orchestratortest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
)

const (
	on  = "on"
	off = "off"
)

// gate is the flags of one app. It takes the names of modules, and learns from the engine which flags they stand for.
type gate struct {
	mu        sync.Mutex
	modules   map[string]orchestrator.FlagDeclaration // by module
	waiting   []flip                                  // asked for before the modules were known
	pinned    map[string]bool                         // modules that are off for good
	values    map[string]string                       // by flag: "on" or a variant; missing: off
	asked     map[string]int                          // by flag: how often it was decided
	observers map[int]func()
	next      int
}

var _ orchestrator.Gate = (*gate)(nil)

func newGate(c *config) *gate {
	g := &gate{
		modules:   map[string]orchestrator.FlagDeclaration{},
		waiting:   c.flips,
		pinned:    map[string]bool{},
		values:    map[string]string{},
		asked:     map[string]int{},
		observers: map[int]func(){},
	}
	for _, m := range c.noops {
		g.pinned[m] = true
	}
	return g
}

// Declare takes over what the options ask of the modules. It comes more than once: static modules are decided earlier.
func (g *gate) Declare(flags ...orchestrator.FlagDeclaration) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range flags {
		g.modules[f.Module] = f
	}
	var errs []error
	g.waiting = slices.DeleteFunc(g.waiting, func(f flip) bool {
		_, known := g.modules[f.module]
		if known {
			errs = append(errs, g.set(f))
		}
		return known
	})
	return errors.Join(errs...)
}

// unknown reports what the options name and the app, which is complete now, doesn't have.
func (g *gate) unknown(c *config) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var errs []error
	for _, f := range g.waiting {
		errs = append(errs, g.known(f.module))
	}
	for _, f := range c.faults {
		errs = append(errs, g.known(f.module))
	}
	for _, name := range c.noops {
		errs = append(errs, g.known(name))
		for _, other := range slices.Sorted(maps.Keys(g.modules)) {
			if g.modules[other].Name == g.modules[name].Name && !g.pinned[other] && g.modules[name].Module != "" {
				errs = append(errs, fmt.Errorf("Noop(%q): module %q has the same flag, %q: name both or none", name, other, g.modules[name].Name))
			}
		}
	}
	return errors.Join(errs...)
}

// known reports a module that the app does not have. The caller holds mu.
func (g *gate) known(module string) error {
	if _, ok := g.modules[module]; ok {
		return nil
	}
	return &orchestrator.UnknownModuleError{Name: module, Known: slices.Sorted(maps.Keys(g.modules))}
}

// set turns one flag. The caller holds mu.
func (g *gate) set(f flip) error {
	if err := g.known(f.module); err != nil {
		return err
	}
	m := g.modules[f.module]
	switch {
	case f.to == off:
		delete(g.values, m.Name)
	case f.to == on || slices.Contains(m.Variants, f.to):
		g.values[m.Name] = f.to
	default:
		allowed := append([]string{on, off}, m.Variants...)
		return fmt.Errorf("module %q has no variant %q (allowed: %s)", f.module, f.to, strings.Join(allowed, ", "))
	}
	return nil
}

// turn turns flags, all at once or, if one can't be, none.
func (g *gate) turn(flips []flip) error {
	g.mu.Lock()
	before := maps.Clone(g.values)
	var errs []error
	for _, f := range flips {
		if g.pinned[f.module] && f.to != off {
			errs = append(errs, fmt.Errorf("module %q is kept off by Noop: it can't be turned %s", f.module, f.to))
			continue
		}
		errs = append(errs, g.set(f))
	}
	err := errors.Join(errs...)
	if err != nil {
		g.values = before
	}
	g.mu.Unlock()
	if err == nil {
		g.notify()
	}
	return err
}

func (g *gate) notify() {
	g.mu.Lock()
	observers := slices.Collect(maps.Values(g.observers))
	g.mu.Unlock()
	for _, notify := range observers {
		notify()
	}
}

// Decide is what the options and the test have said last.
func (g *gate) Decide(flag string) orchestrator.Decision {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked[flag]++
	return g.decision(flag)
}

// decision is Decide without a trace. The caller holds mu.
func (g *gate) decision(flag string) orchestrator.Decision {
	d := orchestrator.Decision{Flag: flag, Value: false, Variant: off, Reason: "STATIC", Layer: "test", Source: "test", At: time.Now()}
	declared := false
	for _, m := range g.modules {
		if m.Name != flag {
			continue
		}
		declared = true
		if g.pinned[m.Module] {
			// An operator's override doesn't beat this layer.
			d.Layer, d.Source = "kill-list", "orchestratortest.Noop"
			return d
		}
	}
	if !declared {
		d.Reason, d.ErrorCode, d.Error = "ERROR", "FLAG_NOT_FOUND", "no module has declared the flag"
		return d
	}
	if v := g.values[flag]; v != "" {
		d.Enabled, d.Value, d.Variant = true, true, v
		if v != on {
			d.Value = v
		}
	}
	return d
}

// Subscribe is as the interface says.
func (g *gate) Subscribe(notify func()) (cancel func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := g.next
	g.next++
	g.observers[id] = notify
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.observers, id)
	}
}

// rounds is how often the flag of a module was asked.
func (g *gate) rounds(module string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked[g.modules[module].Name]
}
