package console_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/console"
)

// overrider counts what reaches the engine.
type overrider struct {
	engine
	set, cleared int
	last         orchestrator.Override
	ttl          time.Duration
}

func (o *overrider) Override(module string, enabled bool, ttl time.Duration, reason, actor string) (orchestrator.Override, error) {
	if _, err := o.Explain(module); err != nil {
		return orchestrator.Override{}, err
	}
	if reason == "" {
		return orchestrator.Override{}, &orchestrator.OverrideError{Field: "reason", Allowed: "text"}
	}
	o.set++
	o.ttl = ttl
	o.last = orchestrator.Override{Module: module, Enabled: enabled, Reason: reason, Actor: actor}
	return o.last, nil
}

func (o *overrider) ClearOverride(module, _ string) error {
	_, err := o.Explain(module)
	if err == nil {
		o.cleared++
	}
	return err
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	const good = `{"enabled": false, "ttl": "10m", "reason": "too loud"}`
	for name, tt := range map[string]struct {
		method, path, host, token, body string
		header                          map[string]string
		code                            int
		text                            string
		set, cleared                    int
	}{
		"put":                 {code: 200, text: `"name": "a"`, set: 1},
		"put with charset":    {header: map[string]string{"Content-Type": "application/json; charset=utf-8"}, code: 200, set: 1},
		"delete":              {method: http.MethodDelete, code: 200, cleared: 1},
		"own origin":          {header: map[string]string{"Origin": "http://127.0.0.1:8080"}, code: 200, set: 1},
		"localhost":           {host: "localhost:8080", code: 200, set: 1},
		"IPv6":                {host: "[::1]:8080", code: 200, set: 1},
		"no token":            {token: "none", code: 401, text: "console.token"},
		"wrong token":         {token: "Bearer wrong", code: 401},
		"other scheme":        {token: "Basic secret", code: 401},
		"foreign host":        {host: "evil.example", code: 403, text: "evil.example"},
		"foreign origin":      {header: map[string]string{"Origin": "http://evil.example"}, code: 403},
		"opaque origin":       {header: map[string]string{"Origin": "null"}, code: 403},
		"form":                {header: map[string]string{"Content-Type": "text/plain"}, code: 415, text: "application/json"},
		"not JSON":            {body: "{", code: 400},
		"unknown field":       {body: `{"enabled": true, "reason": "x", "hours": 1}`, code: 400, text: "hours"},
		"no enabled":          {body: `{"reason": "x"}`, code: 422, text: "enabled"},
		"bad ttl":             {body: `{"enabled": true, "reason": "x", "ttl": "soon"}`, code: 422, text: "soon"},
		"negative ttl":        {body: `{"enabled": true, "reason": "x", "ttl": "-1m"}`, code: 422},
		"unknown variant":     {body: `{"enabled": true, "reason": "x", "variant": "dryrun"}`, code: 422, text: "dryrun"},
		"variant contradicts": {body: `{"enabled": true, "reason": "x", "variant": "off"}`, code: 422},
		"no reason":           {body: `{"enabled": true}`, code: 422, text: "reason"},
		"unknown module":      {path: "/api/v1/modules/b/override", code: 404, text: "unknown module"},
		"too large":           {body: `{"enabled": true, "reason": "` + strings.Repeat("x", 70<<10) + `"}`, code: 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &overrider{engine: engine{{Name: "a"}}}
			mux := http.NewServeMux()
			console.RegisterOverrides(mux, o, "secret", "127.0.0.1:8080")
			or := func(value, otherwise string) string {
				if value == "" {
					return otherwise
				}
				return value
			}
			r := httptest.NewRequestWithContext(t.Context(), or(tt.method, http.MethodPut), or(tt.path, "/api/v1/modules/a/override"), strings.NewReader(or(tt.body, good)))
			r.Host = or(tt.host, "127.0.0.1:8080")
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", or(tt.token, "Bearer secret"))
			for key, value := range tt.header {
				r.Header.Set(key, value)
			}
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.text) {
				t.Errorf("answered %d %s, want %d with %q", w.Code, w.Body, tt.code, tt.text)
			}
			if o.set != tt.set || o.cleared != tt.cleared {
				t.Errorf("%d overrides reached the engine and %d ends of one, want %d and %d", o.set, o.cleared, tt.set, tt.cleared)
			}
			if o.set == 1 && (o.last.Enabled || o.ttl != 10*time.Minute || o.last.Reason != "too loud" || !strings.HasPrefix(o.last.Actor, "console")) {
				t.Errorf("the engine got %+v for %v", o.last, o.ttl)
			}
		})
	}
}
