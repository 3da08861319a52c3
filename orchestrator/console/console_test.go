package console_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/console"
)

type engine []orchestrator.Status

func (e engine) Status() []orchestrator.Status { return e }

func (e engine) Explain(name string) (orchestrator.Explanation, error) {
	for _, s := range e {
		if s.Name == name {
			return orchestrator.Explanation{Status: s, Decision: orchestrator.Decision{Flag: s.Flag, Layer: "file"}}, nil
		}
	}
	return orchestrator.Explanation{}, &orchestrator.UnknownModuleError{Name: name}
}

func get(t *testing.T, e engine, path string, d ...console.Degradation) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	console.Register(mux, e, d...)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	return w
}

func TestReadyzNamesTheCulprit(t *testing.T) {
	t.Parallel()
	for state, want := range map[orchestrator.State]struct {
		code int
		line string
	}{
		orchestrator.Running:   {http.StatusOK, "[+]module/a ok"},
		orchestrator.Off:       {http.StatusOK, "[+]module/a ok"},
		orchestrator.NotLinked: {http.StatusOK, "[!]module/a degraded: because"},
		orchestrator.Starting:  {http.StatusServiceUnavailable, "[-]module/a Starting: because"},
		orchestrator.Failed:    {http.StatusServiceUnavailable, "[-]module/a Failed: because"},
		orchestrator.Draining:  {http.StatusServiceUnavailable, "[-]module/a Draining: because"},
	} {
		w := get(t, engine{{Name: "a", State: state, Reason: "because"}}, "/readyz")
		if w.Code != want.code || !strings.Contains(w.Body.String(), want.line) {
			t.Errorf("%s: answered %d %q, want %d with %q", state, w.Code, w.Body, want.code, want.line)
		}
	}
	w := get(t, nil, "/readyz", console.Degradation{Name: "configuration", Check: func() error { return errors.New("line 7") }})
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "[!]configuration degraded: line 7") {
		t.Errorf("a degradation answered %d %q, want 200 that names it", w.Code, w.Body)
	}
}

func TestModules(t *testing.T) {
	t.Parallel()
	e := engine{{Name: "a", State: orchestrator.Off, Flag: "x", Requires: []string{}, Uses: []string{}}}
	var list []map[string]any
	if err := json.Unmarshal(get(t, e, "/api/v1/modules").Body.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"name", "state", "implementation", "flag", "desired", "reason", "variant", "source", "since", "generation", "leases", "requires", "uses", "error", "noopCalls"} {
		if v, ok := list[0][field]; !ok || v == nil {
			t.Errorf("field %q of a module is %v, want a value", field, v)
		}
	}
	w := get(t, e, "/api/v1/modules/a")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"layer": "file"`) {
		t.Errorf("explanation answered %d %s", w.Code, w.Body)
	}
	if w := get(t, e, "/api/v1/modules/b"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "unknown module") {
		t.Errorf("unknown module answered %d %s, want 404", w.Code, w.Body)
	}
	if w := get(t, e, "/livez"); w.Code != http.StatusOK {
		t.Errorf("livez answered %d", w.Code)
	}
}

func TestPageEscapes(t *testing.T) {
	t.Parallel()
	w := get(t, engine{{Name: "a", Error: "<script>"}}, "/")
	if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "<script>") || !strings.Contains(w.Body.String(), "&lt;script&gt;") {
		t.Errorf("the page answered %d %s", w.Code, w.Body)
	}
}
