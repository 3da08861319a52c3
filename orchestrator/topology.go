package orchestrator

import (
	"fmt"
	"slices"
	"strings"
)

// Graph is the app's modules and the edges between them, as they are at one moment.
type Graph struct {
	Nodes []Node `json:"nodes"` // dependencies first, ties by name: the order in which they start
	Edges []Edge `json:"edges"` // sorted by From, then To
}

// Node is a module.
type Node struct {
	Name           string   `json:"name"`
	State          State    `json:"state"`
	Implementation string   `json:"implementation"` // "real", "noop" or a variant: what a call reaches now
	Flag           string   `json:"flag"`
	Exports        []string `json:"exports"` // types, for example "aggregator.Aggregator"
}

// Edge says that From depends on To.
type Edge struct {
	From string   `json:"from"`
	To   string   `json:"to"`
	Kind EdgeKind `json:"kind"`
}

// EdgeKind says how much a module depends on another.
type EdgeKind string

// The kinds of edges.
const (
	RequiresEdge EdgeKind = "requires" // without it, the module can't run
	UsesEdge     EdgeKind = "uses"     // the module runs without it too
)

// Graph returns the modules and their edges.
func (o *Orchestrator) Graph() Graph {
	o.mu.Lock()
	defer o.mu.Unlock()
	g := Graph{Nodes: []Node{}, Edges: []Edge{}}
	for _, m := range o.modules {
		s := m.status()
		n := Node{Name: s.Name, State: s.State, Implementation: s.Implementation, Flag: s.Flag, Exports: []string{}}
		for _, e := range m.spec.exports {
			n.Exports = append(n.Exports, e.typ.String())
		}
		g.Nodes = append(g.Nodes, n)
		for _, r := range m.requires {
			g.Edges = append(g.Edges, Edge{From: m.spec.name, To: r.spec.name, Kind: RequiresEdge})
		}
		for _, u := range m.uses {
			g.Edges = append(g.Edges, Edge{From: m.spec.name, To: u.spec.name, Kind: UsesEdge})
		}
	}
	slices.SortFunc(g.Edges, func(a, b Edge) int {
		return strings.Compare(a.From+"\x00"+a.To, b.From+"\x00"+b.To)
	})
	return g
}

// DOT is the graph in the language of Graphviz. Soft edges are dashed, and what does not serve is grey.
func (g Graph) DOT() string {
	var b strings.Builder
	b.WriteString("digraph modules {\n  rankdir=LR;\n  node [shape=box];\n")
	for _, n := range g.Nodes {
		style := ""
		if n.State != Running {
			style = ", color=gray, fontcolor=gray"
		}
		fmt.Fprintf(&b, "  %q [label=\"%s\\n%s\"%s];\n", n.Name, n.Name, n.State, style)
	}
	for _, e := range g.Edges {
		style := ""
		if e.Kind == UsesEdge {
			style = " [style=dashed]"
		}
		fmt.Fprintf(&b, "  %q -> %q%s;\n", e.From, e.To, style)
	}
	b.WriteString("}\n")
	return b.String()
}

// Mermaid is the graph as a Mermaid flowchart, which many web pages and editors show. Soft edges are dotted.
func (g Graph) Mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	ids := make(map[string]string, len(g.Nodes)) // a module's name may hold characters and words that mean something to Mermaid
	for i, n := range g.Nodes {
		ids[n.Name] = fmt.Sprintf("m%d", i)
		fmt.Fprintf(&b, "  m%d[\"%s<br/>%s\"]\n", i, n.Name, n.State)
	}
	for _, e := range g.Edges {
		arrow := "-->"
		if e.Kind == UsesEdge {
			arrow = "-.->"
		}
		fmt.Fprintf(&b, "  %s %s %s\n", ids[e.From], arrow, ids[e.To])
	}
	return b.String()
}
