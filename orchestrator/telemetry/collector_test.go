package telemetry_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/telemetry"
)

func compare(t *testing.T, g prometheus.Gatherer, want string, names ...string) {
	t.Helper()
	if err := testutil.GatherAndCompare(g, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestCollector(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(telemetry.NewCollector(&fake{
		modules: []orchestrator.Status{
			{Name: "a", State: orchestrator.Running, Implementation: "etcd", Variant: "etcd", Flag: "store", Generation: 3, Leases: 2, NoopCalls: 7},
			{Name: "b", State: "Novel", Implementation: "noop", Variant: "off", Flag: "mail"},
		},
		decisions: []orchestrator.FlagDecision{
			{Decision: orchestrator.Decision{Flag: "mail", Variant: "off", Layer: "file"}},
			{Decision: orchestrator.Decision{Flag: "store", Enabled: true, Variant: "etcd", Layer: "override"}},
			{Decision: orchestrator.Decision{Flag: "store", Enabled: true, Variant: "etcd", Layer: "override"}}, // of another module
		},
	}))
	compare(t, registry, `
# HELP switchyard_flag_enabled Whether the flag is on, by the decision in force.
# TYPE switchyard_flag_enabled gauge
switchyard_flag_enabled{flag="mail",layer="file",variant="off"} 0
switchyard_flag_enabled{flag="store",layer="override",variant="etcd"} 1
# HELP switchyard_module_generation How often an implementation of the module was published.
# TYPE switchyard_module_generation gauge
switchyard_module_generation{module="a"} 3
switchyard_module_generation{module="b"} 0
# HELP switchyard_module_info What a call to the module reaches; always 1.
# TYPE switchyard_module_info gauge
switchyard_module_info{flag="mail",implementation="noop",module="b",variant="off"} 1
switchyard_module_info{flag="store",implementation="etcd",module="a",variant="etcd"} 1
# HELP switchyard_module_leases Calls in flight on the real implementation.
# TYPE switchyard_module_leases gauge
switchyard_module_leases{module="a"} 2
switchyard_module_leases{module="b"} 0
# HELP switchyard_module_state Whether the module is in this state: 1 for one of the states, 0 for the others.
# TYPE switchyard_module_state gauge
switchyard_module_state{module="a",state="Draining"} 0
switchyard_module_state{module="a",state="Failed"} 0
switchyard_module_state{module="a",state="Idle"} 0
switchyard_module_state{module="a",state="NotLinked"} 0
switchyard_module_state{module="a",state="Off"} 0
switchyard_module_state{module="a",state="Running"} 1
switchyard_module_state{module="a",state="Starting"} 0
switchyard_module_state{module="a",state="Stopping"} 0
switchyard_module_state{module="a",state="Waiting"} 0
switchyard_module_state{module="b",state="Draining"} 0
switchyard_module_state{module="b",state="Failed"} 0
switchyard_module_state{module="b",state="Idle"} 0
switchyard_module_state{module="b",state="NotLinked"} 0
switchyard_module_state{module="b",state="Novel"} 1
switchyard_module_state{module="b",state="Off"} 0
switchyard_module_state{module="b",state="Running"} 0
switchyard_module_state{module="b",state="Starting"} 0
switchyard_module_state{module="b",state="Stopping"} 0
switchyard_module_state{module="b",state="Waiting"} 0
# HELP switchyard_noop_calls_total Calls that the noop of the module has answered.
# TYPE switchyard_noop_calls_total counter
switchyard_noop_calls_total{module="a"} 7
switchyard_noop_calls_total{module="b"} 0
`)
}

func TestNames(t *testing.T) {
	t.Parallel()
	log := newEvents(0)
	log.add(everything()...)
	registry, stop := follow(t, &fake{modules: []orchestrator.Status{{Name: "a"}}, decisions: []orchestrator.FlagDecision{{Module: "a", Decision: orchestrator.Decision{Flag: "x"}}}}, log, nil)
	stop()
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if n, err := testutil.GatherAndCount(registry); err != nil || n < 20 {
		t.Errorf("%d series (%v): too few for the names to be checked", n, err)
	}
}
