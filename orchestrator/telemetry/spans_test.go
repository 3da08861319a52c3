package telemetry_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/detectviz/switchyard/orchestrator"
)

// recorded is what a span says.
type recorded struct {
	Name, Module, Variant, Reason string
	Generation                    int64
	Took                          time.Duration
	End                           time.Duration // since start
	Status                        codes.Code
	Error                         string
}

func read(r *tracetest.SpanRecorder) []recorded {
	var all []recorded
	for _, s := range r.Ended() {
		v := recorded{Name: s.Name(), Took: s.EndTime().Sub(s.StartTime()), End: s.EndTime().Sub(start), Status: s.Status().Code, Error: s.Status().Description}
		for _, a := range s.Attributes() {
			switch a.Key {
			case "switchyard.module":
				v.Module = a.Value.AsString()
			case "switchyard.variant":
				v.Variant = a.Value.AsString()
			case "switchyard.reason":
				v.Reason = a.Value.AsString()
			case "switchyard.generation":
				v.Generation = a.Value.AsInt64()
			}
		}
		all = append(all, v)
	}
	return all
}

func TestSpans(t *testing.T) {
	t.Parallel()
	log := newEvents(0)
	recorder := tracetest.NewSpanRecorder()
	_, stop := follow(t, &fake{}, log, trace.NewTracerProvider(trace.WithSpanProcessor(recorder)))
	log.add(
		orchestrator.StateChanged{Module: "a", From: orchestrator.Off, To: orchestrator.Starting, Reason: "on", Took: time.Hour},
		orchestrator.StateChanged{Module: "a", From: orchestrator.Starting, To: orchestrator.Running, Reason: "on", Variant: "etcd", Generation: 1, Took: 300 * time.Millisecond},
		orchestrator.ReplacementStarted{Module: "a", From: "etcd", To: "file", Reason: "settings", Current: 1},
		orchestrator.StateChanged{Module: "b", From: orchestrator.Starting, To: orchestrator.Failed, Reason: "because", Error: "port in use", Took: 20 * time.Millisecond},
		orchestrator.ReplacementFailed{Module: "a", To: "file", Error: "no disk", Took: 2 * time.Second},
		orchestrator.ReplacementStarted{Module: "a", From: "etcd", To: "file", Reason: "again", Current: 1},
		orchestrator.Replaced{Module: "a", From: "etcd", To: "file", Reason: "again", Generation: 2, Took: time.Second},
		orchestrator.StateChanged{Module: "a", From: orchestrator.Running, To: orchestrator.Draining, Took: time.Hour},
		orchestrator.StateChanged{Module: "a", From: orchestrator.Draining, To: orchestrator.Stopping, Reason: "off", Generation: 2, Took: 40 * time.Millisecond},
		orchestrator.StateChanged{Module: "a", From: orchestrator.Stopping, To: orchestrator.Failed, Reason: "died", Generation: 2, Took: 5 * time.Millisecond},
		orchestrator.ReplacementFailed{Module: "a", To: "x", Error: "its beginning was missed"},
		orchestrator.StateChanged{Module: "a", From: orchestrator.Starting, To: orchestrator.Running}, // of nothing that is known
	)
	stop()
	want := []recorded{
		{Name: "module start", Module: "a", Variant: "etcd", Reason: "on", Generation: 1, Took: 300 * time.Millisecond, End: 2 * time.Second},
		{Name: "module start", Module: "b", Reason: "because", Took: 20 * time.Millisecond, End: 4 * time.Second, Status: codes.Error, Error: "port in use"},
		{Name: "module replace", Module: "a", Variant: "file", Reason: "settings", Generation: 1, Took: 2 * time.Second, End: 5 * time.Second, Status: codes.Error, Error: "no disk"},
		{Name: "module replace", Module: "a", Variant: "file", Reason: "again", Generation: 2, Took: time.Second, End: 7 * time.Second},
		{Name: "module drain", Module: "a", Variant: "file", Reason: "off", Generation: 2, Took: 40 * time.Millisecond, End: 9 * time.Second},
		{Name: "module stop", Module: "a", Variant: "file", Reason: "died", Generation: 2, Took: 5 * time.Millisecond, End: 10 * time.Second, Status: codes.Error, Error: "died"},
		{Name: "module replace", Module: "a", Variant: "x", End: 11 * time.Second, Status: codes.Error, Error: "its beginning was missed"},
		{Name: "module start", Module: "a", End: 12 * time.Second},
	}
	if diff := cmp.Diff(want, read(recorder)); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}
