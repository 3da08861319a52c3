package toggles

import (
	"maps"
	"slices"
	"strings"
)

// UnknownToggle is a toggle, or an entry of the kill list, that concerns no module of the app. It has no effect.
type UnknownToggle struct {
	Name    string
	Source  string
	Nearest string // the flag or module that was probably meant; empty: none is near
}

// Unknown returns the toggles that name no declared flag, sorted.
func (g *Gate) Unknown() []UnknownToggle {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.unknown()
}

func (g *Gate) unknown() []UnknownToggle {
	flags := slices.Sorted(maps.Keys(g.declared))
	names := slices.Clone(flags) // flags and modules
	known := map[flagKey]bool{}
	for _, flag := range flags {
		known[flagKey{name: flag}], known[folded(flag)] = true, true
		names = append(names, g.declared[flag]...)
	}
	var out []UnknownToggle
	add := func(name, source string, candidates []string) {
		near, _ := nearest(name, candidates)
		out = append(out, UnknownToggle{name, source, near})
	}
	for key, t := range g.statements {
		if !known[key] {
			add(t.Name, t.Source, flags)
		}
	}
	for _, kill := range g.flags.Disabled {
		if _, ok := fold(kill.Name, names); !ok {
			add(kill.Name, kill.Source, names)
		}
	}
	slices.SortFunc(out, func(a, b UnknownToggle) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Source, b.Source)
	})
	return out
}

// reportUnknown logs the unknown toggles whenever they are others than the last time. Before Start the modules may not have
// declared all flags yet.
func (g *Gate) reportUnknown() {
	if g.state != gateStarted {
		return
	}
	unknown := g.unknown()
	var names strings.Builder
	for _, u := range unknown {
		names.WriteString(u.Name + "\x00" + u.Source + "\x00")
	}
	if names.String() == g.reported {
		return
	}
	g.reported = names.String()
	for _, u := range unknown {
		attributes := []any{"name", u.Name, "source", u.Source}
		if u.Nearest != "" {
			attributes = append(attributes, "nearest", u.Nearest)
		}
		g.log.Warn("toggle names no flag of this app", attributes...)
	}
}
