package telemetry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/telemetry"
)

// everything is one life of a module, with each type of event.
func everything() []orchestrator.Event {
	return []orchestrator.Event{
		orchestrator.DecisionChanged{Module: "a", To: orchestrator.Decision{Flag: "x", Enabled: true}},
		orchestrator.StateChanged{Module: "a", From: orchestrator.Off, To: orchestrator.Starting, Took: time.Minute},
		orchestrator.StateChanged{Module: "a", From: orchestrator.Starting, To: orchestrator.Running, Took: 200 * time.Millisecond},
		orchestrator.ReplacementStarted{Module: "a", From: "one", To: "two"},
		orchestrator.ReplacementFailed{Module: "a", To: "two", Error: "port in use"},
		orchestrator.ReplacementStarted{Module: "a", From: "one", To: "two"},
		orchestrator.Replaced{Module: "a", From: "one", To: "two"},
		orchestrator.OverrideChanged{Module: "a"},
		orchestrator.StateChanged{Module: "a", From: orchestrator.Running, To: orchestrator.Draining, Took: time.Hour},
		orchestrator.CallsCut{Module: "a", Leases: 1},
		orchestrator.StateChanged{Module: "a", From: orchestrator.Draining, To: orchestrator.Stopping, Took: time.Second},
		orchestrator.StepHung{Module: "a", Step: "OnStop"},
		orchestrator.StateChanged{Module: "a", From: orchestrator.Stopping, To: orchestrator.Off, Took: time.Second},
		orchestrator.ChangeFinished{},
	}
}

func TestEventsAreCounted(t *testing.T) {
	t.Parallel()
	log := newEvents(5)
	log.add(everything()...)
	registry, stop := follow(t, &fake{}, log, nil)
	log.add(everything()...)
	stop() // sees what there is before it returns
	compare(t, registry, `
# HELP switchyard_events_missed_total Events that were no longer kept when they were to be counted.
# TYPE switchyard_events_missed_total counter
switchyard_events_missed_total 5
# HELP switchyard_flag_decisions_total Changes of the decision in force for the flag, as seen by its modules.
# TYPE switchyard_flag_decisions_total counter
switchyard_flag_decisions_total{flag="x"} 2
# HELP switchyard_module_replacements_total Replacements of a running copy of the module by another, by their result: replaced, failed or given up.
# TYPE switchyard_module_replacements_total counter
switchyard_module_replacements_total{module="a",result="failed"} 2
switchyard_module_replacements_total{module="a",result="replaced"} 2
# HELP switchyard_module_transitions_total Transitions of the module from one state to another.
# TYPE switchyard_module_transitions_total counter
switchyard_module_transitions_total{from="Draining",module="a",to="Stopping"} 2
switchyard_module_transitions_total{from="Off",module="a",to="Starting"} 2
switchyard_module_transitions_total{from="Running",module="a",to="Draining"} 2
switchyard_module_transitions_total{from="Starting",module="a",to="Running"} 2
switchyard_module_transitions_total{from="Stopping",module="a",to="Off"} 2
# HELP switchyard_overrides_total Overrides that were set, were cleared or have ended.
# TYPE switchyard_overrides_total counter
switchyard_overrides_total 2
`, "switchyard_events_missed_total", "switchyard_flag_decisions_total", "switchyard_module_replacements_total", "switchyard_module_transitions_total", "switchyard_overrides_total")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "switchyard_module_state_duration_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			sums[m.GetLabel()[1].GetValue()] = m.GetHistogram().GetSampleSum()
		}
	}
	for state, want := range map[string]float64{"Off": 120, "Starting": 0.4, "Running": 7200, "Draining": 2, "Stopping": 2} {
		if sums[state] != want {
			t.Errorf("%g s were spent in %s, want %g", sums[state], state, want)
		}
	}
}

func TestEventsAreCountedAsTheyHappen(t *testing.T) {
	t.Parallel()
	log := newEvents(0)
	registry, _ := follow(t, &fake{}, log, nil)
	for n := 1; n <= 3; n++ {
		log.add(orchestrator.OverrideChanged{Module: "a"})
		eventually(t, "the override is counted", func() bool {
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				if f.GetName() == "switchyard_overrides_total" {
					return f.GetMetric()[0].GetCounter().GetValue() == float64(n)
				}
			}
			return false
		})
	}
}

// late is a log that tells of nothing before it has to.
type late struct{ *events }

func (late) Next(ctx context.Context, _ uint64) ([]orchestrator.Record, uint64, error) {
	<-ctx.Done()
	return nil, 0, context.Cause(ctx)
}

func TestStopLosesNothing(t *testing.T) {
	t.Parallel()
	log := newEvents(3)
	log.add(orchestrator.OverrideChanged{Module: "a"})
	registry, stop := follow(t, &fake{}, late{log}, nil)
	stop()
	compare(t, registry, `
# HELP switchyard_events_missed_total Events that were no longer kept when they were to be counted.
# TYPE switchyard_events_missed_total counter
switchyard_events_missed_total 3
# HELP switchyard_overrides_total Overrides that were set, were cleared or have ended.
# TYPE switchyard_overrides_total counter
switchyard_overrides_total 1
`, "switchyard_events_missed_total", "switchyard_overrides_total")
}

func TestNewUndoesItsRegistrations(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	taken := telemetry.NewCollector(&fake{modules: []orchestrator.Status{{Name: "taken"}}})
	registry.MustRegister(taken)
	_, err := telemetry.New(&fake{}, newEvents(0), registry, nil)
	if already := (prometheus.AlreadyRegisteredError{}); !errors.As(err, &already) {
		t.Fatalf("error %v, want one that says what is there already", err)
	}
	if n, err := testutil.GatherAndCount(registry, "switchyard_overrides_total", "switchyard_events_missed_total"); err != nil || n != 0 {
		t.Errorf("%d metrics are left (%v), want none", n, err)
	}
	registry.Unregister(taken)
	if _, err := telemetry.New(&fake{}, newEvents(0), registry, nil); err != nil {
		t.Errorf("it can't be registered afterwards: %v", err)
	}
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	tele, err := telemetry.New(&fake{}, newEvents(0), prometheus.NewPedanticRegistry(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tele.Stop(t.Context()); err != nil {
		t.Errorf("what was never started does not stop: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := tele.Start(ctx); err != nil {
		t.Fatal(err)
	}
	cancel() // the context of a start ends with the start
	if err := tele.Start(t.Context()); err == nil {
		t.Error("it was started twice")
	}
	for range 2 {
		if err := tele.Stop(t.Context()); err != nil {
			t.Errorf("it does not stop: %v", err)
		}
	}
}
