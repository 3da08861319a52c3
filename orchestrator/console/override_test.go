package console_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/console"
)

const token = "0123456789abcdef0123456789abcdef"

func put(t testing.TB, h http.Handler, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	return call(t, h, http.MethodPut, path, body, "Content-Type", "application/json", "Authorization", "Bearer "+token)
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	const good = `{"enabled": false, "ttl": "10m", "reason": "too loud"}`
	for name, tt := range map[string]struct {
		method, path, token, body string
		header                    []string
		settings                  console.Settings
		code                      int
		text                      string
		set, cleared              int
	}{
		"put":                   {code: 200, text: `"name": "a"`, set: 1},
		"put with charset":      {header: []string{"Content-Type", "application/json; charset=utf-8"}, code: 200, set: 1},
		"delete":                {method: http.MethodDelete, code: 200, cleared: 1},
		"delete with a form":    {method: http.MethodDelete, header: []string{"Content-Type", "text/plain"}, code: 415},
		"delete, not JSON":      {method: http.MethodDelete, body: "{", code: 400},
		"own origin":            {header: []string{"Origin", "http://127.0.0.1:8080"}, code: 200, set: 1},
		"localhost":             {header: []string{"Host", "localhost:8080"}, code: 200, set: 1},
		"IPv6":                  {header: []string{"Host", "[::1]:8080"}, code: 200, set: 1},
		"lower-case scheme":     {token: "bearer " + token, code: 200, set: 1},
		"no token":              {token: "none", code: 401, text: "console.token"},
		"wrong token":           {token: "Bearer wrong", code: 401},
		"other scheme":          {token: "Basic " + token, code: 401},
		"console has no token":  {settings: console.Settings{Token: " "}, code: 401},
		"foreign host":          {header: []string{"Host", "evil.example"}, code: 403, text: "evil.example"},
		"foreign origin":        {header: []string{"Origin", "http://evil.example"}, code: 403},
		"opaque origin":         {header: []string{"Origin", "null"}, code: 403},
		"delete, foreign":       {method: http.MethodDelete, header: []string{"Origin", "http://evil.example"}, code: 403},
		"delete, no token":      {method: http.MethodDelete, token: "none", code: 401},
		"form":                  {header: []string{"Content-Type", "text/plain"}, code: 415, text: "application/json"},
		"no type":               {header: []string{"Content-Type", ""}, code: 415, text: "application/json"},
		"not JSON":              {body: "{", code: 400},
		"empty":                 {body: " ", code: 400},
		"two values":            {body: good + good, code: 400, text: "follows"},
		"trailing garbage":      {body: good + "x", code: 400, text: "follows"},
		"unknown field":         {body: `{"enabled": true, "reason": "x", "hours": 1}`, code: 400, text: "hours"},
		"wrong type":            {body: `{"enabled": "yes", "reason": "x"}`, code: 400, text: "enabled"},
		"too large":             {body: `{"enabled": true, "reason": "` + strings.Repeat("x", 70<<10) + `"}`, code: 400},
		"no enabled":            {body: `{"reason": "x"}`, code: 422, text: `"field": "enabled"`},
		"null":                  {body: `null`, code: 422, text: `"field": "enabled"`},
		"bad ttl":               {body: `{"enabled": true, "reason": "x", "ttl": "soon"}`, code: 422, text: `"value": "soon"`},
		"negative ttl":          {body: `{"enabled": true, "reason": "x", "ttl": "-1m"}`, code: 422},
		"zero ttl":              {body: `{"enabled": true, "reason": "x", "ttl": "0s"}`, code: 422},
		"unknown variant":       {body: `{"enabled": true, "reason": "x", "variant": "unheard-of"}`, code: 422, text: `"value": "unheard-of"`},
		"on, but variant off":   {body: `{"enabled": true, "reason": "x", "variant": "off"}`, code: 422, text: `"field": "variant"`},
		"off, but variant on":   {body: `{"enabled": false, "reason": "x", "variant": "on"}`, code: 422, text: `"field": "variant"`},
		"off, but variant etcd": {body: `{"enabled": false, "reason": "x", "variant": "etcd"}`, code: 422, text: `"allowed"`},
		"two mistakes":          {body: `{"enabled": true, "variant": "off", "reason": "x", "ttl": "soon"}`, code: 422, text: "soon"},
		"no reason":             {body: `{"enabled": true}`, code: 422, text: `"field": "reason"`},
		"unknown module":        {path: "/api/v1/modules/b/override", code: 404, text: "unknown module"},
		"delete unknown":        {method: http.MethodDelete, path: "/api/v1/modules/b/override", code: 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			or := func(value, otherwise string) string {
				if value == "" {
					return otherwise
				}
				return value
			}
			e := one(orchestrator.Status{Name: "a"})
			tt.settings.Token = or(tt.settings.Token, token)
			w := call(t, handler(t, e, tt.settings), or(tt.method, http.MethodPut), or(tt.path, "/api/v1/modules/a/override"), or(tt.body, good),
				append([]string{"Content-Type", "application/json", "Authorization", or(tt.token, "Bearer "+token)}, tt.header...)...)
			if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.text) {
				t.Errorf("answered %d %s, want %d with %q", w.Code, w.Body, tt.code, tt.text)
			}
			if e.set != tt.set || e.cleared != tt.cleared {
				t.Errorf("%d overrides reached the engine and %d ends of one, want %d and %d", e.set, e.cleared, tt.set, tt.cleared)
			}
			if e.set == 1 && (e.variant != "off" || e.ttl != 10*time.Minute || e.reason != "too loud" || !strings.HasPrefix(e.actor, "console ")) {
				t.Errorf("the engine got %q for %v, %q by %q", e.variant, e.ttl, e.reason, e.actor)
			}
		})
	}
}

func TestVariants(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"enabled": true, "reason": "x"}`:                    "on",
		`{"enabled": true, "variant": "on", "reason": "x"}`:   "on",
		`{"enabled": true, "variant": "etcd", "reason": "x"}`: "etcd",
		`{"enabled": false, "reason": "x"}`:                   "off",
		`{"enabled": false, "variant": "off", "reason": "x"}`: "off",
		`{"variant": "etcd", "reason": "x"}`:                  "etcd",
		`{"variant": "off", "reason": "x"}`:                   "off",
		`{"variant": "on", "enabled": null, "reason": "x"}`:   "on",
	} {
		e := one(orchestrator.Status{Name: "a"})
		w := put(t, handler(t, e, console.Settings{Token: token}), "/api/v1/modules/a/override", body)
		if w.Code != http.StatusOK || e.variant != want {
			t.Errorf("%s: answered %d %s, variant %q, want %q", body, w.Code, w.Body, e.variant, want)
		}
	}
}

// A console without a token must not take an empty one for it.
func TestNoTokenChangesNothing(t *testing.T) {
	t.Parallel()
	e := one(orchestrator.Status{Name: "a"})
	h := handler(t, e, console.Settings{})
	for _, given := range []string{"", "Bearer", "Bearer ", "Bearer x"} {
		w := call(t, h, http.MethodPut, "/api/v1/modules/a/override", `{"enabled": true, "reason": "x"}`, "Content-Type", "application/json", "Authorization", given)
		if w.Code != http.StatusForbidden {
			t.Errorf("with %q: answered %d %s, want 403", given, w.Code, w.Body)
		}
	}
	if e.set != 0 {
		t.Errorf("%d overrides reached the engine", e.set)
	}
}

func TestRequestOmitsWhatIsNotSet(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal(console.OverrideRequest{Variant: "etcd", Reason: "x"})
	if want := `{"variant":"etcd","reason":"x"}`; err != nil || string(body) != want {
		t.Errorf("a request is %s (%v), want %s", body, err, want)
	}
}

func TestClear(t *testing.T) {
	t.Parallel()
	for body, reason := range map[string]string{"": "", `{"reason": "done"}`: "done"} {
		e := one(orchestrator.Status{Name: "a"})
		header := []string{"Authorization", "Bearer " + token}
		if body != "" {
			header = append(header, "Content-Type", "application/json")
		}
		w := call(t, handler(t, e, console.Settings{Token: token}), http.MethodDelete, "/api/v1/modules/a/override", body, header...)
		if w.Code != http.StatusOK || e.cleared != 1 || e.reason != reason {
			t.Errorf("%s: answered %d %s, %d ends of an override for %q, want one for %q", body, w.Code, w.Body, e.cleared, e.reason, reason)
		}
	}
}
