// Package console serves what an operator asks of a running app over HTTP: the modules with their states and reasons, and
// the health of the process.
package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"

	"github.com/detectviz/switchyard/orchestrator"
)

// Engine is what the console asks; *orchestrator.Orchestrator is one.
type Engine interface {
	Status() []orchestrator.Status
	Explain(name string) (orchestrator.Explanation, error)
}

var _ Engine = (*orchestrator.Orchestrator)(nil)

// Degradation is something besides the modules that an operator should know of although the app is ready, for example a
// configuration file that could not be read. It returns nil while all is well. It must not block.
type Degradation struct {
	Name  string
	Check func() error
}

// Register adds the console's routes to mux:
//
//	GET /api/v1/modules         all modules, an array sorted by name
//	GET /api/v1/modules/{name}  one module with its decision and history
//	GET /livez                  200 while the process serves
//	GET /readyz                 200 once every module is in the state that its flag asks for; else 503, naming the culprits
//	GET /                       the modules as a page
func Register(mux *http.ServeMux, engine Engine, degradations ...Degradation) {
	c := &console{engine: engine, degradations: degradations}
	mux.HandleFunc("GET /api/v1/modules", c.modules)
	mux.HandleFunc("GET /api/v1/modules/{name}", c.module)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", c.readyz)
	mux.HandleFunc("GET /{$}", c.page)
}

type console struct {
	engine       Engine
	degradations []Degradation
}

// Problem is the answer to a request that can't be served.
type Problem struct {
	Error string `json:"error"`
}

func (c *console) modules(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, c.engine.Status())
}

func (c *console) module(w http.ResponseWriter, r *http.Request) {
	e, err := c.engine.Explain(r.PathValue("name"))
	var unknown *orchestrator.UnknownModuleError
	switch {
	case errors.As(err, &unknown):
		writeJSON(w, http.StatusNotFound, Problem{Error: err.Error()})
	case err != nil:
		writeJSON(w, http.StatusInternalServerError, Problem{Error: err.Error()})
	default:
		writeJSON(w, http.StatusOK, e)
	}
}

// readyz lists what keeps the app from being what its flags ask for. A module that is off, or whose real implementation
// this binary does not link, is as ready as it will be.
func (c *console) readyz(w http.ResponseWriter, _ *http.Request) {
	var body bytes.Buffer
	ready := true
	for _, s := range c.engine.Status() {
		switch s.State {
		case orchestrator.Running, orchestrator.Off:
			fmt.Fprintf(&body, "[+]module/%s ok: %s\n", s.Name, s.State)
		case orchestrator.NotLinked:
			fmt.Fprintf(&body, "[!]module/%s degraded: %s\n", s.Name, s.Reason)
		default:
			ready = false
			fmt.Fprintf(&body, "[-]module/%s %s: %s\n", s.Name, s.State, s.Reason)
		}
	}
	for _, d := range c.degradations {
		if err := d.Check(); err != nil {
			fmt.Fprintf(&body, "[!]%s degraded: %v\n", d.Name, err)
		} else {
			fmt.Fprintf(&body, "[+]%s ok\n", d.Name)
		}
	}
	if ready {
		body.WriteString("ready")
		text(w, http.StatusOK, body.String())
		return
	}
	body.WriteString("not ready")
	text(w, http.StatusServiceUnavailable, body.String())
}

func (c *console) page(w http.ResponseWriter, _ *http.Request) {
	var body bytes.Buffer
	if err := pageTemplate().Execute(&body, c.engine.Status()); err != nil {
		writeJSON(w, http.StatusInternalServerError, Problem{Error: err.Error()})
		return
	}
	h := headers(w, "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	_, _ = w.Write(body.Bytes())
}

func pageTemplate() *template.Template { return template.Must(template.New("page").Parse(pageSource)) }

const pageSource = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Modules</title>
<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid #8884;vertical-align:top}</style></head>
<body><h1>Modules</h1><table><thead><tr><th scope="col">Module</th><th scope="col">State</th><th scope="col">Flag</th><th scope="col">Why</th></tr></thead><tbody>
{{range .}}<tr><th scope="row">{{.Name}}</th><td>{{.State}}</td><td>{{.Flag}}</td><td>{{.Reason}}{{with .Error}} ({{.}}){{end}}</td></tr>
{{end}}</tbody></table></body></html>
`

func headers(w http.ResponseWriter, contentType string) http.Header {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	return h
}

func text(w http.ResponseWriter, code int, body string) {
	headers(w, "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, body)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		code, body = http.StatusInternalServerError, []byte(`{"error": "the answer can't be encoded"}`)
	}
	headers(w, "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n'))
}
