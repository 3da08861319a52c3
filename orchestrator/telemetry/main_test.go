package telemetry_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is an Engine of fixed modules and decisions.
type fake struct {
	modules   []orchestrator.Status
	decisions []orchestrator.FlagDecision
}

func (f *fake) Status() []orchestrator.Status          { return f.modules }
func (f *fake) Decisions() []orchestrator.FlagDecision { return f.decisions }

// start is when the first event of a log happened.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// events is an EventLog; the n-th event happens n seconds after start.
type events struct {
	mu      sync.Mutex
	gone    uint64 // how many events are no longer kept
	records []orchestrator.Record
	changed chan struct{}
}

func newEvents(gone uint64) *events { return &events{gone: gone, changed: make(chan struct{})} }

func (l *events) add(all ...orchestrator.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range all {
		n := len(l.records) + 1
		l.records = append(l.records, orchestrator.Record{ID: l.gone + uint64(n), At: start.Add(time.Duration(n) * time.Second), Event: e})
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *events) Since(id uint64) ([]orchestrator.Record, uint64) {
	records, missed, _ := l.since(id)
	return records, missed
}

func (l *events) since(id uint64) ([]orchestrator.Record, uint64, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	missed := uint64(0)
	if id < l.gone {
		missed, id = l.gone-id, l.gone
	}
	return append([]orchestrator.Record{}, l.records[id-l.gone:]...), missed, l.changed
}

func (l *events) Next(ctx context.Context, id uint64) ([]orchestrator.Record, uint64, error) {
	for {
		records, missed, changed := l.since(id)
		if len(records) > 0 {
			return records, missed, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, 0, context.Cause(ctx)
		}
	}
}

// follow starts telemetry of the log, and returns its registry and a function that stops it when it has seen all.
func follow(t *testing.T, engine telemetry.Engine, log telemetry.EventLog, provider trace.TracerProvider) (*prometheus.Registry, func()) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	tele, err := telemetry.New(engine, log, registry, provider)
	if err != nil {
		t.Fatal(err)
	}
	if err := tele.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := tele.Stop(ctx); err != nil {
			t.Errorf("it did not stop: %v", err)
		}
	})
	t.Cleanup(stop)
	return registry, stop
}

// eventually polls until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not reached: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
