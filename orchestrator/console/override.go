package console

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
)

// maxBody bounds the body of a request, in bytes.
const maxBody = 64 << 10

// Overrider switches modules against their flags; *orchestrator.Orchestrator is one.
type Overrider interface {
	Engine
	Override(module string, enabled bool, ttl time.Duration, reason, actor string) (orchestrator.Override, error)
	ClearOverride(module, actor string) error
}

var _ Overrider = (*orchestrator.Orchestrator)(nil)

// OverrideRequest is the body of PUT /api/v1/modules/{name}/override.
type OverrideRequest struct {
	Enabled *bool  `json:"enabled"`           // required
	Variant string `json:"variant,omitempty"` // on or off, if given: no module has others
	TTL     string `json:"ttl,omitempty"`     // for example "10m"; empty: until it is cleared
	Reason  string `json:"reason"`            // required
}

// RegisterOverrides adds the routes that change something:
//
//	PUT    /api/v1/modules/{name}/override  switches the module, see OverrideRequest; answers with the module
//	DELETE /api/v1/modules/{name}/override  lets its flag decide again
//
// They want the token as a bearer token, and refuse requests that a browser was made to send: a Host that is not an address of
// this machine or listen, an Origin that is another host, a body that is not declared as JSON.
func RegisterOverrides(mux *http.ServeMux, engine Overrider, token, listen string) {
	host, _, _ := net.SplitHostPort(listen)
	o := &overrides{engine: engine, token: token, host: host}
	mux.HandleFunc("PUT /api/v1/modules/{name}/override", o.guard(o.put))
	mux.HandleFunc("DELETE /api/v1/modules/{name}/override", o.guard(o.clear))
}

type overrides struct {
	engine      Overrider
	token, host string
}

// guard lets a request through that may change something.
func (o *overrides) guard(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		given, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch origin := r.Header.Get("Origin"); {
		case !o.ours(r.Host):
			writeJSON(w, http.StatusForbidden, Problem{Error: fmt.Sprintf("host %q is not an address of this console", r.Host)})
		case origin != "" && origin != "http://"+r.Host && origin != "https://"+r.Host:
			writeJSON(w, http.StatusForbidden, Problem{Error: fmt.Sprintf("origin %q is not this console", origin)})
		case !isBearer || subtle.ConstantTimeCompare([]byte(given), []byte(o.token)) != 1:
			w.Header().Set("WWW-Authenticate", `Bearer realm="console"`)
			writeJSON(w, http.StatusUnauthorized, Problem{Error: "the token of the console is required: it is in console.token in the data directory"})
		default:
			next(w, r)
		}
	}
}

// ours reports whether a Host header names this machine: a name that somebody else's DNS leads here does not.
func (o *overrides) ours(header string) bool {
	host, _, err := net.SplitHostPort(header)
	if err != nil {
		host = header
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" || host == o.host {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

func (o *overrides) put(w http.ResponseWriter, r *http.Request) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		writeJSON(w, http.StatusUnsupportedMediaType, Problem{Error: fmt.Sprintf("Content-Type: %q: allowed is application/json", r.Header.Get("Content-Type"))})
		return
	}
	var body OverrideRequest
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		writeJSON(w, http.StatusBadRequest, Problem{Error: "body: " + err.Error()})
		return
	}
	ttl, err := body.check()
	if err == nil {
		_, err = o.engine.Override(r.PathValue("name"), *body.Enabled, ttl, body.Reason, actor(r))
	}
	o.answer(w, r, err)
}

// check returns the time to live, or what is wrong with the request.
func (b OverrideRequest) check() (time.Duration, error) {
	if b.Enabled == nil {
		return 0, &orchestrator.OverrideError{Field: "enabled", Allowed: "true or false"}
	}
	if b.Variant != "" && (b.Variant == "on") != *b.Enabled || b.Variant != "" && b.Variant != "on" && b.Variant != "off" {
		return 0, &orchestrator.OverrideError{Field: "variant", Value: b.Variant, Allowed: "on or off, in accordance with enabled"}
	}
	if b.TTL == "" {
		return 0, nil
	}
	ttl, err := time.ParseDuration(b.TTL)
	if err != nil || ttl <= 0 {
		return 0, &orchestrator.OverrideError{Field: "ttl", Value: b.TTL, Allowed: `a positive duration, for example "10m"`}
	}
	return ttl, nil
}

func (o *overrides) clear(w http.ResponseWriter, r *http.Request) {
	o.answer(w, r, o.engine.ClearOverride(r.PathValue("name"), actor(r)))
}

func (o *overrides) answer(w http.ResponseWriter, r *http.Request, err error) {
	var unknown *orchestrator.UnknownModuleError
	var refused *orchestrator.OverrideError
	switch {
	case errors.As(err, &unknown):
		writeJSON(w, http.StatusNotFound, Problem{Error: err.Error()})
	case errors.As(err, &refused):
		writeJSON(w, http.StatusUnprocessableEntity, Problem{Error: err.Error()})
	case err != nil:
		writeJSON(w, http.StatusInternalServerError, Problem{Error: err.Error()})
	default:
		(&console{engine: o.engine}).module(w, r)
	}
}

// actor is who holds the token, as far as it can be told.
func actor(r *http.Request) string { return "console " + r.RemoteAddr }
