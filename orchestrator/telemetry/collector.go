package telemetry

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/detectviz/switchyard/orchestrator"
)

// Engine is what is asked at each scrape.
type Engine interface {
	Status() []orchestrator.Status
	Decisions() []orchestrator.FlagDecision
}

// states are the ones that a module can be in: each is a series, so that a query for one of them finds a zero.
func states() []orchestrator.State {
	return []orchestrator.State{
		orchestrator.Off, orchestrator.NotLinked, orchestrator.Waiting, orchestrator.Idle, orchestrator.Starting,
		orchestrator.Running, orchestrator.Draining, orchestrator.Stopping, orchestrator.Failed,
	}
}

// NewCollector returns the metrics of what is at the moment: the states of the modules, and the decisions in force. It keeps
// nothing and is safe for concurrent use. New registers one already.
func NewCollector(engine Engine) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("switchyard_"+name, help, labels, nil)
	}
	return &collector{
		engine:     engine,
		state:      desc("module_state", "Whether the module is in this state: 1 for one of the states, 0 for the others.", "module", "state"),
		info:       desc("module_info", "What a call to the module reaches; always 1.", "module", "implementation", "variant", "flag"),
		generation: desc("module_generation", "How often an implementation of the module was published.", "module"),
		leases:     desc("module_leases", "Calls in flight on the real implementation.", "module"),
		noopCalls:  desc("noop_calls_total", "Calls that the noop of the module has answered.", "module"),
		flag:       desc("flag_enabled", "Whether the flag is on, by the decision in force.", "flag", "variant", "layer"),
	}
}

type collector struct {
	engine                                           Engine
	state, info, generation, leases, noopCalls, flag *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.state, c.info, c.generation, c.leases, c.noopCalls, c.flag} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, s := range c.engine.Status() {
		all := states()
		if !slices.Contains(all, s.State) {
			all = append(all, s.State)
		}
		for _, state := range all {
			gauge(c.state, one(s.State == state), s.Name, string(state))
		}
		gauge(c.info, 1, s.Name, s.Implementation, s.Variant, s.Flag)
		gauge(c.generation, float64(s.Generation), s.Name)
		gauge(c.leases, float64(s.Leases), s.Name)
		metrics <- prometheus.MustNewConstMetric(c.noopCalls, prometheus.CounterValue, float64(s.NoopCalls), s.Name)
	}
	type series struct{ flag, variant, layer string }
	seen := map[series]bool{} // modules that share a flag bring its decision each
	for _, d := range c.engine.Decisions() {
		if k := (series{d.Flag, d.Variant, d.Layer}); !seen[k] {
			seen[k] = true
			gauge(c.flag, one(d.Enabled), k.flag, k.variant, k.layer)
		}
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
