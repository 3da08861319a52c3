package telemetry

import (
	"cmp"
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/detectviz/switchyard/orchestrator"
)

// scope names this package to OpenTelemetry.
const scope = "github.com/detectviz/switchyard/orchestrator/telemetry"

// spans makes a span of each event that says how long something took, with the times of the event.
type spans struct {
	tracer  trace.Tracer
	replace map[string]orchestrator.ReplacementStarted // by module: what a failure does not repeat
	variant map[string]string                          // by module: what starts, runs or stops, which not every event repeats
}

func newSpans(provider trace.TracerProvider) *spans {
	if provider == nil {
		provider = noop.NewTracerProvider()
	}
	return &spans{tracer: provider.Tracer(scope), replace: map[string]orchestrator.ReplacementStarted{}, variant: map[string]string{}}
}

// span is what one span says.
type span struct {
	name, module, variant, reason, err string
	generation                         uint64
	took                               time.Duration
}

// see makes the span of an event, if it ends something: a stay in Starting, Draining or Stopping, or a replacement.
func (s *spans) see(r orchestrator.Record) {
	switch e := r.Event.(type) {
	case orchestrator.StateChanged:
		variant := cmp.Or(e.Variant, s.variant[e.Module])
		s.variant[e.Module] = variant
		if stay(e.To) == "" && e.To != orchestrator.Running {
			delete(s.variant, e.Module)
		}
		name := stay(e.From)
		if name == "" {
			return
		}
		v := span{name: name, module: e.Module, variant: variant, reason: e.Reason, generation: e.Generation, took: e.Took}
		if e.To == orchestrator.Failed {
			v.err = e.Error
			if v.err == "" {
				v.err = e.Reason
			}
		}
		s.record(r.At, v)
	case orchestrator.ReplacementStarted:
		s.replace[e.Module] = e
	case orchestrator.ReplacementFailed:
		began := s.replace[e.Module]
		delete(s.replace, e.Module)
		s.record(r.At, span{name: "module replace", module: e.Module, variant: e.To, reason: began.Reason, generation: began.Current, err: e.Error, took: e.Took})
	case orchestrator.ReplacementGivenUp:
		began := s.replace[e.Module]
		delete(s.replace, e.Module)
		s.record(r.At, span{name: "module replace", module: e.Module, variant: e.To, reason: began.Reason, generation: began.Current, err: "given up: not wanted any more", took: e.Took})
	case orchestrator.Replaced:
		delete(s.replace, e.Module)
		s.variant[e.Module] = e.To
		s.record(r.At, span{name: "module replace", module: e.Module, variant: e.To, reason: e.Reason, generation: e.Generation, took: e.Took})
	}
}

// stay names the span of a stay in a state; empty: it has none.
func stay(s orchestrator.State) string {
	switch s {
	case orchestrator.Starting:
		return "module start"
	case orchestrator.Draining:
		return "module drain"
	case orchestrator.Stopping:
		return "module stop"
	default:
		return ""
	}
}

func (s *spans) record(at time.Time, v span) {
	_, made := s.tracer.Start(context.Background(), v.name, trace.WithNewRoot(), trace.WithTimestamp(at.Add(-v.took)), trace.WithAttributes(
		attribute.String("switchyard.module", v.module),
		attribute.String("switchyard.variant", v.variant),
		attribute.Int64("switchyard.generation", int64(v.generation)), //nolint:gosec // counts publications: it does not come near the limit
		attribute.String("switchyard.reason", v.reason),
	))
	if v.err != "" {
		made.SetStatus(codes.Error, v.err)
	}
	made.End(trace.WithTimestamp(at))
}
