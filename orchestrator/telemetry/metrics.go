package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/detectviz/switchyard/orchestrator"
)

// eventMetrics count what has happened.
type eventMetrics struct {
	transitions, replacements, decisions *prometheus.CounterVec
	durations                            *prometheus.HistogramVec
	overrides, missed                    prometheus.Counter
}

func newEventMetrics() *eventMetrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "switchyard", Name: name, Help: help}
	}
	return &eventMetrics{
		transitions:  prometheus.NewCounterVec(counter("module_transitions_total", "Transitions of the module from one state to another."), []string{"module", "from", "to"}),
		replacements: prometheus.NewCounterVec(counter("module_replacements_total", "Replacements of a running copy of the module by another, by their result: replaced, failed or given up."), []string{"module", "result"}),
		decisions:    prometheus.NewCounterVec(counter("flag_decisions_total", "Changes of the decision in force for the flag, as seen by its modules."), []string{"flag"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "switchyard", Name: "module_state_duration_seconds", Help: "How long the module was in a state that it has left.",
			Buckets: []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 600, 3600, 86400}, // a stop takes milliseconds, a run days
		}, []string{"module", "state"}),
		overrides: prometheus.NewCounter(counter("overrides_total", "Overrides that were set, were cleared or have ended.")),
		missed:    prometheus.NewCounter(counter("events_missed_total", "Events that were no longer kept when they were to be counted.")),
	}
}

func (m *eventMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.transitions, m.replacements, m.decisions, m.durations, m.overrides, m.missed}
}

func (m *eventMetrics) see(e orchestrator.Event) {
	switch e := e.(type) {
	case orchestrator.StateChanged:
		m.transitions.WithLabelValues(e.Module, string(e.From), string(e.To)).Inc()
		m.durations.WithLabelValues(e.Module, string(e.From)).Observe(e.Took.Seconds())
	case orchestrator.Replaced:
		m.replacements.WithLabelValues(e.Module, "replaced").Inc()
	case orchestrator.ReplacementFailed:
		m.replacements.WithLabelValues(e.Module, "failed").Inc()
	case orchestrator.ReplacementGivenUp:
		m.replacements.WithLabelValues(e.Module, "given up").Inc()
	case orchestrator.DecisionChanged:
		m.decisions.WithLabelValues(e.To.Flag).Inc()
	case orchestrator.OverrideChanged:
		m.overrides.Inc()
	}
}
