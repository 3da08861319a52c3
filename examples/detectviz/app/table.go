package app

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
)

// writeTable prints one line for each module.
func writeTable(w io.Writer, modules []orchestrator.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MODULE\tSTATE\tSERVES\tFLAG\tREASON")
	for _, m := range modules {
		reason := m.Reason
		if m.Error != "" && m.Error != reason {
			reason += "; last error: " + m.Error
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", m.Name, m.State, m.Implementation, m.Flag, reason)
	}
	return t.Flush()
}

// writeFlags prints one line for each flag.
func writeFlags(w io.Writer, flags []orchestrator.FlagDecision) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FLAG\tVALUE\tMODULE\tREASON\tLAYER\tSOURCE")
	for _, d := range flags {
		reason := d.Reason
		if d.ErrorCode != "" {
			reason += ": " + d.ErrorCode + " " + d.Error
		}
		fmt.Fprintf(t, "%s\t%v\t%s\t%s\t%s\t%s\n", d.Flag, d.Value, d.Module, reason, d.Layer, d.Source)
	}
	return t.Flush()
}

// writeGraph prints one line for each module and one for each edge.
func writeGraph(w io.Writer, g orchestrator.Graph) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, n := range g.Nodes {
		fmt.Fprintf(t, "%s\t%s\t%s\n", n.Name, n.State, strings.Join(n.Exports, ", "))
	}
	for _, e := range g.Edges {
		fmt.Fprintf(t, "%s\t%s\t%s\n", e.From, e.Kind, e.To)
	}
	return t.Flush()
}

// writeExplanation prints a module with its decision and history.
func writeExplanation(w io.Writer, e orchestrator.Explanation) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name string, value any) { fmt.Fprintf(t, "%s\t%v\n", name, value) }
	line("module", e.Name)
	line("state", fmt.Sprintf("%s since %s", e.State, e.Since.Local().Format(time.DateTime)))
	line("serves", e.Implementation)
	line("why", e.Reason)
	if e.Error != "" {
		line("error", e.Error)
	}
	d := e.Decision
	if v := e.Override; v != nil {
		line("override", "by an override: "+v.String())
	}
	line("flag", d.Flag)
	line("  value", fmt.Sprintf("%v (variant %q)", d.Value, d.Variant))
	line("  reason", d.Reason)
	if d.ErrorCode != "" {
		line("  error", d.ErrorCode+" "+d.Error)
	}
	line("  decided by", d.Source)
	line("  at", d.At.Local().Format(time.DateTime))
	line("generation", e.Generation)
	line("leases", e.Leases)
	line("noop calls", e.NoopCalls)
	for _, r := range e.Requirements {
		line(string(r.Kind), fmt.Sprintf("%s: %s (%s)", r.Module, r.State, r.Reason))
	}
	if len(e.Variants) > 0 {
		line("variants", strings.Join(e.Variants, ", "))
	}
	for i, step := range e.History {
		name := ""
		if i == 0 {
			name = "history"
		}
		line(name, fmt.Sprintf("%s  %s -> %s  %s", step.At.Local().Format("15:04:05.000"), step.From, step.To, step.Reason))
	}
	return t.Flush()
}
