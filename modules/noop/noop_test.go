package noop_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/modules/aggregator"
	"github.com/detectviz/switchyard/modules/dataplane"
	"github.com/detectviz/switchyard/modules/noop"
	"github.com/detectviz/switchyard/orchestrator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gate has every flag on or off.
type gate bool

func (g gate) Declare(...orchestrator.FlagDeclaration) error { return nil }
func (g gate) Subscribe(func()) func()                       { return func() {} }
func (g gate) Decide(flag string) orchestrator.Decision {
	return orchestrator.Decision{Flag: flag, Enabled: bool(g), Source: "test"}
}

func TestNoopsAreHonest(t *testing.T) {
	t.Parallel()
	for _, on := range []gate{false, true} {
		var (
			agg  aggregator.Aggregator
			data dataplane.Dataplane
			orch *orchestrator.Orchestrator
		)
		app := fxtest.New(t, fx.NopLogger, orchestrator.New(), noop.AggregatorModule(), noop.DataplaneModule(),
			fx.Provide(func() orchestrator.Gate { return on }), fx.Populate(&agg, &data, &orch))
		app.RequireStart()
		t.Cleanup(func() { app.RequireStop() })

		for name, tt := range map[string]struct {
			handler  http.Handler
			services func(context.Context) error
			flag     string
		}{
			"aggregator": {agg, func(ctx context.Context) error { _, err := agg.Services(ctx); return err }, "kubernetesAggregator"},
			"dataplane":  {data, func(ctx context.Context) error { _, err := data.Services(ctx); return err }, "dataplaneAggregator"},
		} {
			if err := tt.services(t.Context()); !errors.Is(err, orchestrator.ErrDisabled) {
				t.Errorf("%s: Services returned %v, want ErrDisabled", name, err)
			}
			w := httptest.NewRecorder()
			tt.handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/apis", http.NoBody))
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%s: answered %d %q, want 503 and JSON", name, w.Code, w.Header().Get("Content-Type"))
			}
			var status struct{ Kind, APIVersion, Status, Reason, Message string }
			if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil {
				t.Fatal(err)
			}
			if status.Kind != "Status" || status.APIVersion != "v1" || status.Status != "Failure" || status.Reason != "ModuleDisabled" {
				t.Errorf("%s: body %+v, want a Status with reason ModuleDisabled", name, status)
			}
			for _, want := range []string{name, tt.flag, "(test)"} {
				if !strings.Contains(status.Message, want) {
					t.Errorf("%s: message %q does not name %q", name, status.Message, want)
				}
			}
			head := httptest.NewRecorder()
			tt.handler.ServeHTTP(head, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/apis", http.NoBody))
			if head.Code != http.StatusServiceUnavailable || head.Body.Len() != 0 {
				t.Errorf("%s: HEAD answered %d with %d bytes, want 503 and none", name, head.Code, head.Body.Len())
			}
			e, err := orch.Explain(name)
			if err != nil {
				t.Fatal(err)
			}
			if e.NoopCalls != 3 {
				t.Errorf("%s: %d noop calls were counted, want 3", name, e.NoopCalls)
			}
			want := orchestrator.Off
			if on {
				want = orchestrator.NotLinked
			}
			if e.State != want {
				t.Errorf("%s: state %s, want %s", name, e.State, want)
			}
		}
	}
}

func BenchmarkDisabledRequest(b *testing.B) {
	h := noop.Aggregator()
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/apis", http.NoBody)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}
