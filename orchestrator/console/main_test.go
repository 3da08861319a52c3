package console_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/console"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const listen = "127.0.0.1:8080"

// fake is an Engine of fixed modules that counts what reaches it.
type fake struct {
	modules []orchestrator.Status
	force   *orchestrator.Override

	planErr, applyErr error
	planned, applied  int
	change            orchestrator.Change

	set, cleared int
	variant      string
	ttl          time.Duration
	reason       string
	actor        string
}

func (e *fake) Status() []orchestrator.Status { return e.modules }

func (e *fake) Explain(name string) (orchestrator.Explanation, error) {
	for _, s := range e.modules {
		if s.Name == name {
			return orchestrator.Explanation{Status: s, Override: e.force, Decision: orchestrator.Decision{Flag: s.Flag, Variant: s.Variant, Layer: "file"}}, nil
		}
	}
	return orchestrator.Explanation{}, &orchestrator.UnknownModuleError{Name: name}
}

func (e *fake) Graph() orchestrator.Graph { return orchestrator.Graph{} }

func (e *fake) Decisions() []orchestrator.FlagDecision { return []orchestrator.FlagDecision{} }

func (e *fake) Override(module, variant string, ttl time.Duration, reason, actor string) (orchestrator.Override, error) {
	if _, err := e.Explain(module); err != nil {
		return orchestrator.Override{}, err
	}
	if reason == "" {
		return orchestrator.Override{}, &orchestrator.OverrideError{Field: "reason", Allowed: "text"}
	}
	if variant == "unheard-of" {
		return orchestrator.Override{}, &orchestrator.OverrideError{Field: "variant", Value: variant, Allowed: "on or off"}
	}
	e.set++
	e.variant, e.ttl, e.reason, e.actor = variant, ttl, reason, actor
	return orchestrator.Override{Module: module, Reason: reason, Actor: actor}, nil
}

func (e *fake) ClearOverride(module, actor, reason string) error {
	_, err := e.Explain(module)
	if err == nil {
		e.cleared++
		e.actor, e.reason = actor, reason
	}
	return err
}

func (e *fake) Plan(c orchestrator.Change) (orchestrator.Plan, error) {
	e.planned++
	e.change = c
	return orchestrator.Plan{Change: c, Steps: []orchestrator.Step{{Module: "a", Action: "stop"}}}, e.planErr
}

func (e *fake) Apply(_ context.Context, p orchestrator.Plan) error {
	if len(p.Steps) != 1 {
		return errors.New("it is not the plan")
	}
	e.applied++
	return e.applyErr
}

// events is an EventLog that keeps the last few events.
type events struct {
	mu      sync.Mutex
	keeps   int
	records []orchestrator.Record
	last    uint64
	changed chan struct{}
}

func newEvents(keeps int) *events { return &events{keeps: keeps, changed: make(chan struct{})} }

func (l *events) add(all ...orchestrator.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range all {
		l.last++
		l.records = append(l.records, orchestrator.Record{ID: l.last, At: time.Unix(0, 0).UTC(), Event: e})
	}
	l.records = l.records[max(0, len(l.records)-l.keeps):]
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *events) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *events) Since(id uint64) ([]orchestrator.Record, uint64) {
	records, missed, _ := l.since(id)
	return records, missed
}

func (l *events) since(id uint64) (records []orchestrator.Record, missed uint64, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if first := l.last - uint64(len(l.records)); id < first {
		missed, id = first-id, first
	}
	for _, r := range l.records {
		if r.ID > id {
			records = append(records, r)
		}
	}
	return records, missed, l.changed
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

// handler is a console; settings without an address get one.
func handler(t testing.TB, e console.Engine, s console.Settings) http.Handler {
	t.Helper()
	if s.Listen == "" {
		s.Listen = listen
	}
	mux := http.NewServeMux()
	if err := console.Register(mux, e, s); err != nil {
		t.Fatal(err)
	}
	return mux
}

// call sends one request to the console's own address; header are pairs, and Host is one of them.
func call(t testing.TB, h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Host = listen
	for pair := range slices.Chunk(header, 2) {
		if pair[0] == "Host" {
			r.Host = pair[1]
			continue
		}
		r.Header.Set(pair[0], pair[1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func get(t testing.TB, h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	return call(t, h, http.MethodGet, path, "", header...)
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
