package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/console"
)

// gate has decided for good.
type gate map[string]bool

func (gate) Declare(...orchestrator.FlagDeclaration) error { return nil }
func (gate) Subscribe(func()) func()                       { return func() {} }

func (g gate) Decide(flag string) orchestrator.Decision {
	d := orchestrator.Decision{Flag: flag, Variant: "off", Layer: "file", Source: "test"}
	if g[flag] {
		d.Enabled, d.Value, d.Variant = true, true, "on"
	}
	return d
}

// real is the engine.
type real struct{ *orchestrator.Orchestrator }

// mailer and store are exports of modules that hold nothing.
type (
	mailer interface{ Mail() }
	store  interface{ Keep() }
	nobody struct{ orchestrator.Noop }
)

func (*nobody) Mail() {}
func (*nobody) Keep() {}

// start runs the engine with the modules mailer and spare, which share a flag, and store; mailer requires store.
func start(t *testing.T, flags gate, more ...fx.Option) real {
	t.Helper()
	var engine *orchestrator.Orchestrator
	app := fxtest.New(t, fx.NopLogger, orchestrator.New(), fx.Populate(&engine),
		fx.Provide(func() orchestrator.Gate { return flags }), fx.Options(more...),
		orchestrator.Module("mailer", orchestrator.Flag("mail"), orchestrator.Requires("store"),
			orchestrator.Export[mailer](&nobody{}, func(*orchestrator.Live[mailer]) mailer { return &nobody{} }),
			orchestrator.Provide(func() mailer { return &nobody{} })),
		orchestrator.Module("store", orchestrator.Flag("keep"),
			orchestrator.Export[store](&nobody{}, func(*orchestrator.Live[store]) store { return &nobody{} }),
			orchestrator.Provide(func() store { return &nobody{} })),
		orchestrator.Module("spare", orchestrator.Flag("mail"),
			orchestrator.Export[*nobody](&nobody{}, func(*orchestrator.Live[*nobody]) *nobody { return &nobody{} })),
	)
	app.RequireStart()
	t.Cleanup(func() { app.RequireStop() })
	return real{engine}
}

func (r real) settle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := r.Settled(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestGraph(t *testing.T) {
	t.Parallel()
	h := handler(t, start(t, gate{"mail": true, "keep": true}), console.Settings{})
	var graph orchestrator.Graph
	w := get(t, h, "/api/v1/graph")
	if err := json.Unmarshal(w.Body.Bytes(), &graph); err != nil || len(graph.Nodes) != 3 || len(graph.Edges) != 1 || graph.Edges[0].To != "store" {
		t.Errorf("answered %d %s (%v), want three modules and an edge", w.Code, w.Body, err)
	}
	for format, want := range map[string]struct{ kind, text string }{
		"json":    {"application/json", `"nodes"`},
		"dot":     {"text/vnd.graphviz", `"mailer" -> "store";`},
		"mermaid": {"text/plain", "flowchart LR"},
	} {
		w := get(t, h, "/api/v1/graph?format="+format)
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), want.kind) || !strings.Contains(w.Body.String(), want.text) {
			t.Errorf("%s: answered %d %q %s", format, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
	}
	if w := get(t, h, "/api/v1/graph?format=png"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "json, dot or mermaid") {
		t.Errorf("png: answered %d %s, want 400 that names what is allowed", w.Code, w.Body)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	engine := start(t, gate{"mail": true})
	h := handler(t, engine, console.Settings{Token: token})
	flags := func() (words []string) {
		var list []orchestrator.FlagDecision
		w := get(t, h, "/api/v1/flags")
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
			t.Fatalf("answered %d %s: %v", w.Code, w.Body, err)
		}
		for _, d := range list {
			words = append(words, fmt.Sprintf("%s of %s is %v by %s", d.Flag, d.Module, d.Enabled, d.Layer))
		}
		return words
	}
	want := []string{"keep of store is false by file", "mail of mailer is true by file", "mail of spare is true by file"}
	if diff := cmp.Diff(want, flags()); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
	if w := put(t, h, "/api/v1/modules/store/override", `{"variant": "on", "reason": "x"}`); w.Code != http.StatusOK {
		t.Fatalf("override answered %d %s", w.Code, w.Body)
	}
	engine.settle(t)
	want[0] = "keep of store is true by override"
	if diff := cmp.Diff(want, flags()); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
	if got := get(t, handler(t, &fake{}, console.Settings{}), "/api/v1/flags"); strings.TrimSpace(got.Body.String()) != "[]" {
		t.Errorf("without modules: %s, want an empty array", got.Body)
	}
}

func TestOverrideOfTheEngine(t *testing.T) {
	t.Parallel()
	engine := start(t, gate{"keep": true})
	h := handler(t, engine, console.Settings{Token: token})
	state := func() orchestrator.State {
		engine.settle(t)
		e, err := engine.Explain("store")
		if err != nil {
			t.Fatal(err)
		}
		return e.State
	}
	if got := state(); got != orchestrator.Running {
		t.Fatalf("state %s, want Running", got)
	}
	if w := put(t, h, "/api/v1/modules/store/override", `{"enabled": false, "ttl": "1h", "reason": "x"}`); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"override"`) {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if got := state(); got != orchestrator.Off {
		t.Errorf("state %s, want Off", got)
	}
	if w := put(t, h, "/api/v1/modules/store/override", `{"variant": "etcd", "reason": "x"}`); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("an unknown variant answered %d %s, want 422", w.Code, w.Body)
	}
	if w := call(t, h, http.MethodDelete, "/api/v1/modules/store/override", "", "Authorization", "Bearer "+token); w.Code != http.StatusOK {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if got := state(); got != orchestrator.Running {
		t.Errorf("state %s, want Running again", got)
	}
}

func TestEventsAndChangesOfTheEngine(t *testing.T) {
	t.Parallel()
	engine := start(t, gate{"keep": true})
	h := handler(t, engine, console.Settings{Token: token, Events: engine.Events()})
	before := engine.Events().Last()
	if w := post(t, h, "/api/v1/plan", `{"set": {"store": "off"}}`); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"stop"`) {
		t.Errorf("plan answered %d %s", w.Code, w.Body)
	}
	if last := engine.Events().Last(); last != before {
		t.Errorf("a plan made %d events", last-before)
	}
	for body, code := range map[string]int{
		`{"set": {"nobody": "off"}, "reason": "x"}`:                    http.StatusNotFound,
		`{"set": {"store": "etcd"}, "reason": "x"}`:                    http.StatusUnprocessableEntity,
		`{"set": {"store": ""}, "reason": "x"}`:                        http.StatusUnprocessableEntity,
		`{"set": {"store": "off"}, "clear": ["store"], "reason": "x"}`: http.StatusUnprocessableEntity,
		`{"set": {"store": "off"}}`:                                    http.StatusUnprocessableEntity, // no reason
	} {
		if w := post(t, h, "/api/v1/apply", body); w.Code != code {
			t.Errorf("%s: answered %d %s, want %d", body, w.Code, w.Body, code)
		}
	}
	if last := engine.Events().Last(); last != before {
		t.Errorf("%d events came of changes that were refused", last-before)
	}
	if w := post(t, h, "/api/v1/apply", `{"set": {"store": "off"}, "reason": "night"}`); w.Code != http.StatusOK {
		t.Errorf("apply answered %d %s", w.Code, w.Body)
	}
	var records []struct {
		Type  string
		Event struct{ Module, To any }
	}
	w := get(t, h, fmt.Sprintf("/api/v1/events?since=%d", before), "Accept", "application/json")
	if err := json.Unmarshal(w.Body.Bytes(), &records); err != nil {
		t.Fatal(err)
	}
	var states []any
	for _, r := range records {
		if r.Type == "StateChanged" && r.Event.Module == "store" {
			states = append(states, r.Event.To)
		}
	}
	if diff := cmp.Diff([]any{"Draining", "Stopping", "Off"}, states); diff != "" {
		t.Errorf("states of the store (-want +got):\n%s", diff)
	}
}

func TestFailedChangeIsRolledBack(t *testing.T) {
	t.Parallel()
	engine := start(t, gate{"mail": true}, orchestrator.Module("broken", orchestrator.Flag("break"),
		orchestrator.Export[fmt.Stringer](broken{}, func(*orchestrator.Live[fmt.Stringer]) fmt.Stringer { return broken{} }),
		orchestrator.Provide(func() (fmt.Stringer, error) { return nil, errors.New("port in use") })))
	h := handler(t, engine, console.Settings{Token: token})
	w := post(t, h, "/api/v1/apply", `{"set": {"broken": "on", "store": "on"}, "reason": "night"}`)
	var problem console.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || w.Code != http.StatusConflict ||
		problem.Conflict != console.RolledBack || problem.Module != "broken" || !strings.Contains(problem.Error, "port in use") {
		t.Errorf("answered %d %s (%v), want 409 that says what was rolled back and why", w.Code, w.Body, err)
	}
	if e, err := engine.Explain("store"); err != nil || e.State != orchestrator.Off || e.Override != nil {
		t.Errorf("afterwards: %+v (%v), want it off as before", e, err)
	}
}

// broken is the noop of a module that does not start.
type broken struct{}

func (broken) String() string { return "" }

func TestStreamOfTheEngine(t *testing.T) {
	t.Parallel()
	engine := start(t, gate{})
	s := open(t, serve(t, console.Settings{Events: engine.Events()}), "")
	if _, err := engine.Override("store", "on", time.Hour, "night", "ann"); err != nil {
		t.Fatal(err)
	}
	var states []string
	for len(states) < 2 {
		m, ok := s.read()
		if !ok {
			t.Fatalf("the stream has ended after %v", states)
		}
		var record struct {
			Event struct{ Module, To any }
		}
		if err := json.Unmarshal([]byte(m.data), &record); err != nil {
			t.Fatal(err)
		}
		if m.event == "StateChanged" && record.Event.Module == "store" {
			states = append(states, fmt.Sprint(record.Event.To))
		}
	}
	if diff := cmp.Diff([]string{"Starting", "Running"}, states); diff != "" {
		t.Errorf("states of the store (-want +got):\n%s", diff)
	}
}

// vain asks for a variant that no module has.
type vain struct{ gate }

func (v vain) Decide(flag string) orchestrator.Decision {
	d := v.gate.Decide(flag)
	if flag == "keep" {
		d.Enabled, d.Value, d.Variant = true, "maybe", "maybe"
	}
	return d
}

func TestReadyzNamesFlagsThatAskInVain(t *testing.T) {
	t.Parallel()
	var engine *orchestrator.Orchestrator
	app := fxtest.New(t, fx.NopLogger, orchestrator.New(), fx.Populate(&engine),
		fx.Provide(func() orchestrator.Gate { return vain{} }),
		orchestrator.Module("store", orchestrator.Flag("keep"),
			orchestrator.Export[store](&nobody{}, func(*orchestrator.Live[store]) store { return &nobody{} }),
			orchestrator.Provide(func() store { return &nobody{} })))
	app.RequireStart()
	t.Cleanup(func() { app.RequireStop() })
	w := get(t, handler(t, engine, console.Settings{}), "/readyz")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "[!]flag/keep degraded: TYPE_MISMATCH: value maybe (test): allowed: off, on") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}
