// Package telemetry shows the modules of an app to Prometheus and OpenTelemetry: their present state when it is asked for,
// and what happens to them as it happens.
//
// It reads the engine's log of events and is never waited for. Metrics are counted from the oldest event that is kept, so one
// that is started after the engine has lost nothing; switchyard_events_missed_total says if it did.
package telemetry

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/detectviz/switchyard/orchestrator"
)

// EventLog is where telemetry reads what has happened; the one of the engine is Orchestrator.Events().
type EventLog interface {
	// Since returns the events after the one with the given ID, oldest first, and how many of them are no longer kept.
	Since(id uint64) (records []orchestrator.Record, missed uint64)
	// Next is Since, but blocks until there is at least one event, or until ctx ends.
	Next(ctx context.Context, id uint64) (records []orchestrator.Record, missed uint64, err error)
}

var _ EventLog = (*orchestrator.EventLog)(nil)

// Telemetry follows the events of an engine. Start is called once. In an app of fx, Options does all of it.
type Telemetry struct {
	log     EventLog
	metrics *eventMetrics
	spans   *spans
	last    uint64 // of the goroutine
	cancel  context.CancelFunc
	done    chan struct{}
}

// New registers the metrics of the engine. Spans go to the provider; nil: there are none. The error is that of the registerer,
// and then nothing stays registered.
func New(engine Engine, log EventLog, registerer prometheus.Registerer, provider trace.TracerProvider) (*Telemetry, error) {
	t := &Telemetry{log: log, metrics: newEventMetrics(), spans: newSpans(provider), done: make(chan struct{})}
	var registered []prometheus.Collector
	for _, c := range append(t.metrics.collectors(), NewCollector(engine)) {
		if err := registerer.Register(c); err != nil {
			for _, r := range registered {
				registerer.Unregister(r)
			}
			return nil, fmt.Errorf("telemetry: %w", err)
		}
		registered = append(registered, c)
	}
	return t, nil
}

// Start follows the events until Stop. It does not block, and its context does not end what it starts.
func (t *Telemetry) Start(ctx context.Context) error {
	if t.cancel != nil {
		return errors.New("telemetry: started already")
	}
	ctx, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go t.run(ctx)
	return nil
}

// Stop reads what is left and returns when nothing of Telemetry runs any more, or with the cause of ctx when that ends first.
// Stop it after the engine, so that the stops of the modules are seen.
func (t *Telemetry) Stop(ctx context.Context) error {
	if t.cancel == nil {
		return nil // never started
	}
	t.cancel()
	select {
	case <-t.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t *Telemetry) run(ctx context.Context) {
	defer close(t.done)
	for {
		records, missed, err := t.log.Next(ctx, t.last)
		if err != nil { // ctx has ended
			records, missed = t.log.Since(t.last)
			t.see(records, missed)
			return
		}
		t.see(records, missed)
	}
}

func (t *Telemetry) see(records []orchestrator.Record, missed uint64) {
	t.metrics.missed.Add(float64(missed))
	for _, r := range records {
		t.metrics.see(r.Event)
		t.spans.see(r)
		t.last = r.ID
	}
}
