// Package console serves what an operator asks of a running app over HTTP: the modules with their states and reasons, what
// has happened to them, and the health of the process; and what an operator does: overrides, and changes of several modules.
package console

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/detectviz/switchyard/orchestrator"
)

// Degradation is something besides the modules that an operator should know of although the app is ready, for example a
// configuration file that could not be read. It returns nil while all is well. It must not block.
type Degradation struct {
	Name  string
	Check func() error
}

// Register adds the console's routes to mux. The error is about the settings, and names everything that is wrong; then no
// route was added.
//
//	GET    /api/v1/modules                  all modules, an array sorted by name
//	GET    /api/v1/modules/{name}           one module with its decision and history
//	PUT    /api/v1/modules/{name}/override  switches the module, see OverrideRequest; answers with the module
//	DELETE /api/v1/modules/{name}/override  lets its flag decide again; a body may give the reason
//	GET    /api/v1/flags                    the decisions in force, an array sorted by flag, then module
//	GET    /api/v1/graph                    the modules and their edges; ?format=json (default), dot or mermaid
//	GET    /api/v1/events                   what happens, as server-sent events or an array, see below
//	POST   /api/v1/plan                     what a change would do, see ChangeRequest; changes nothing
//	POST   /api/v1/apply                    plans the change and carries it out, all or nothing
//	GET    /livez                           200 while the process serves
//	GET    /readyz                          200 once every module is in the state that its flag asks for; else 503, naming the culprits
//	GET    /metrics                         Settings.Metrics
//	GET    /                                the modules as a page
//
// Requests that change something want the token as a bearer token. They, and that for a plan, are refused if a browser may
// have been made to send them: an Origin that is another host, a body that is not declared as JSON. All but /livez are refused if
// their Host is not an address of this machine, Settings.Listen or one of Settings.Hosts. With Settings.RequireToken, all but
// /livez and /readyz want the token.
//
// GET /api/v1/events streams what happens from now on, with ?since=0 also all that is kept. The id of an event is for
// Last-Event-ID (or ?lastEventId=): the stream goes on after it. When events that the client has not seen are no longer kept,
// or it comes with an id of another process, {"missed": number or null} of type Missed comes first. With Accept:
// application/json, the answer is an array of the records after ?since=, oldest first, at most ?limit=.
func Register(mux *http.ServeMux, engine Engine, settings Settings) error {
	s, err := settings.complete()
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	c := &console{engine: engine, settings: s, guard: newGuard(s)}
	api := http.NewServeMux()
	api.HandleFunc("GET /api/v1/modules", c.modules)
	api.HandleFunc("GET /api/v1/modules/{name}", c.module)
	api.HandleFunc("PUT /api/v1/modules/{name}/override", c.changes(c.override))
	api.HandleFunc("DELETE /api/v1/modules/{name}/override", c.changes(c.clearOverride))
	api.HandleFunc("GET /api/v1/flags", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, engine.Decisions()) })
	api.HandleFunc("GET /api/v1/graph", c.graph)
	if s.Events != nil {
		api.Handle("GET /api/v1/events", newStreams(s))
	}
	api.HandleFunc("POST /api/v1/plan", c.plan)
	api.HandleFunc("POST /api/v1/apply", c.changes(c.apply))
	mux.Handle("/api/v1/", c.reads(problems(api)))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", c.readyz)
	if s.Metrics != nil {
		mux.Handle("GET /metrics", c.reads(s.Metrics))
	}
	mux.Handle("GET /{$}", c.reads(http.HandlerFunc(c.page)))
	return nil
}

type console struct {
	engine   Engine
	settings Settings
	guard    guard
}

// Problem is the answer to a request that can't be served.
type Problem struct {
	Error string `json:"error"`
	// What is wrong with a request that could be read, if it is one field.
	Field   string `json:"field,omitempty"`
	Value   string `json:"value,omitempty"`
	Allowed string `json:"allowed,omitempty"`
	// Why a plan was not carried out, and the module whose failure was the cause.
	Conflict Conflict `json:"conflict,omitempty"`
	Module   string   `json:"module,omitempty"`
}

// reads lets a request through that may be answered. Those that may change something are checked further by their own
// handlers; one that is refused here already is recorded here.
func (c *console) reads(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := c.guard.reading(r); f != nil {
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				record(c.settings.Audit, r, audited{what: r.Method, subject: r.URL.Path, code: f.code})
			}
			refuse(w, f)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// changes lets a request through that may change something, and records what came of it.
func (c *console) changes(next func(http.ResponseWriter, *http.Request) audited) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var a audited
		if f := c.guard.changing(r); f != nil {
			refuse(w, f)
			a = audited{subject: r.URL.Path, code: f.code}
		} else {
			a = next(w, r)
		}
		a.what = r.Pattern
		record(c.settings.Audit, r, a)
	}
}

// problems answers in JSON what no route of the mux serves, with the codes of the mux: 404, or 405 with Allow.
func problems(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fallback, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		answer := &answer{header: http.Header{}}
		fallback.ServeHTTP(answer, r)
		if allow := answer.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
			writeJSON(w, http.StatusMethodNotAllowed, Problem{Error: fmt.Sprintf("method %q: allowed for %q is %s", r.Method, r.URL.Path, allow)})
			return
		}
		writeJSON(w, http.StatusNotFound, Problem{Error: fmt.Sprintf("no route %q", r.URL.Path)})
	})
}

// answer keeps the header of an answer that is written anew.
type answer struct{ header http.Header }

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(b []byte) (int, error) { return len(b), nil }
func (a *answer) WriteHeader(int)             {}

func (c *console) modules(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, c.engine.Status())
}

func (c *console) module(w http.ResponseWriter, r *http.Request) {
	e, err := c.engine.Explain(r.PathValue("name"))
	if err != nil {
		code, problem := problemOf(err)
		writeJSON(w, code, problem)
		return
	}
	writeJSON(w, http.StatusOK, e)
}

func (c *console) graph(w http.ResponseWriter, r *http.Request) {
	switch format := r.URL.Query().Get("format"); format {
	case "", "json":
		writeJSON(w, http.StatusOK, c.engine.Graph())
	case "dot":
		write(w, http.StatusOK, "text/vnd.graphviz; charset=utf-8", []byte(c.engine.Graph().DOT()))
	case "mermaid":
		write(w, http.StatusOK, "text/plain; charset=utf-8", []byte(c.engine.Graph().Mermaid()))
	default:
		err := &orchestrator.OverrideError{Field: "format", Value: format, Allowed: "json, dot or mermaid"}
		writeJSON(w, http.StatusBadRequest, Problem{Error: err.Error(), Field: err.Field, Value: err.Value, Allowed: err.Allowed})
	}
}

func headers(w http.ResponseWriter, contentType string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

func write(w http.ResponseWriter, code int, contentType string, body []byte) {
	headers(w, contentType)
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

func text(w http.ResponseWriter, code int, body string) {
	write(w, code, "text/plain; charset=utf-8", []byte(body+"\n"))
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		code, body = http.StatusInternalServerError, []byte(`{"error": "the answer can't be encoded"}`)
	}
	write(w, code, "application/json", append(body, '\n'))
}
