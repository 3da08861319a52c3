package console_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/console"
)

func one(s orchestrator.Status) *fake { return &fake{modules: []orchestrator.Status{s}} }

func TestReadyzNamesTheCulprit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		state     orchestrator.State
		lastError string
		code      int
		line      string
	}{
		{orchestrator.Running, "", http.StatusOK, "[+]module/a ok"},
		{orchestrator.Running, "the new copy did not start", http.StatusOK, "[!]module/a degraded: the new copy did not start"},
		{orchestrator.Off, "", http.StatusOK, "[+]module/a ok"},
		{"Idle", "", http.StatusOK, "[+]module/a ok"},
		{orchestrator.NotLinked, "", http.StatusOK, "[!]module/a degraded: because"},
		{orchestrator.Waiting, "", http.StatusServiceUnavailable, "[-]module/a Waiting: because"},
		{orchestrator.Starting, "", http.StatusServiceUnavailable, "[-]module/a Starting: because"},
		{orchestrator.Failed, "x", http.StatusServiceUnavailable, "[-]module/a Failed: because"},
		{orchestrator.Draining, "", http.StatusServiceUnavailable, "[-]module/a Draining: because"},
		{orchestrator.Stopping, "", http.StatusServiceUnavailable, "[-]module/a Stopping: because"},
	} {
		h := handler(t, one(orchestrator.Status{Name: "a", State: tt.state, Reason: "because", Error: tt.lastError}), console.Settings{})
		w := get(t, h, "/readyz")
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.line) {
			t.Errorf("%s: answered %d %q, want %d with %q", tt.state, w.Code, w.Body, tt.code, tt.line)
		}
		if w := call(t, h, http.MethodHead, "/readyz", ""); w.Code != tt.code {
			t.Errorf("%s: HEAD answered %d, want %d", tt.state, w.Code, tt.code)
		}
	}
	w := get(t, handler(t, &fake{}, console.Settings{Degradations: []console.Degradation{
		{Name: "configuration", Check: func() error { return errors.New("line 7") }}, {Name: "disk", Check: func() error { return nil }},
	}}), "/readyz")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "[!]configuration degraded: line 7") || !strings.Contains(w.Body.String(), "[+]disk ok") {
		t.Errorf("degradations answered %d %q, want 200 that names them", w.Code, w.Body)
	}
}

func TestModules(t *testing.T) {
	t.Parallel()
	h := handler(t, one(orchestrator.Status{Name: "a", State: orchestrator.Off, Flag: "x", Requires: []string{}, Uses: []string{}}), console.Settings{})
	var list []map[string]any
	if err := json.Unmarshal(get(t, h, "/api/v1/modules").Body.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"name", "state", "implementation", "flag", "desired", "reason", "variant", "source", "since", "generation", "leases", "requires", "uses", "error", "noopCalls"} {
		if v, ok := list[0][field]; !ok || v == nil {
			t.Errorf("field %q of a module is %v, want a value", field, v)
		}
	}
	w := get(t, h, "/api/v1/modules/a")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"layer": "file"`) {
		t.Errorf("explanation answered %d %s", w.Code, w.Body)
	}
	if w := get(t, h, "/api/v1/modules/b"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "unknown module") {
		t.Errorf("unknown module answered %d %s, want 404", w.Code, w.Body)
	}
}

func TestModuleWithSlash(t *testing.T) {
	t.Parallel()
	e := one(orchestrator.Status{Name: "store/etcd"})
	h := handler(t, e, console.Settings{Token: token})
	if w := get(t, h, "/api/v1/modules/store%2Fetcd"); w.Code != http.StatusOK {
		t.Errorf("answered %d %s, want 200", w.Code, w.Body)
	}
	if w := put(t, h, "/api/v1/modules/store%2Fetcd/override", `{"enabled": true, "reason": "x"}`); w.Code != http.StatusOK || e.set != 1 {
		t.Errorf("answered %d %s, %d overrides, want 200 and one", w.Code, w.Body, e.set)
	}
}

func TestUnknownRoutesAndMethods(t *testing.T) {
	t.Parallel()
	h := handler(t, one(orchestrator.Status{Name: "a"}), console.Settings{Token: token})
	for _, tt := range []struct {
		method, path string
		code         int
		allow        string
	}{
		{http.MethodGet, "/api/v1/nothing", http.StatusNotFound, ""},
		{http.MethodPost, "/api/v1/nothing", http.StatusNotFound, ""},
		{http.MethodGet, "/api/v1/", http.StatusNotFound, ""},
		{http.MethodGet, "/api/v1/modules/a/other", http.StatusNotFound, ""},
		{http.MethodGet, "/api/v1/events", http.StatusNotFound, ""}, // without a log
		{http.MethodPost, "/api/v1/modules", http.StatusMethodNotAllowed, "GET, HEAD"},
		{http.MethodPost, "/api/v1/modules/a/override", http.StatusMethodNotAllowed, "DELETE, PUT"},
		{http.MethodGet, "/api/v1/modules/a/override", http.StatusMethodNotAllowed, "DELETE, PUT"},
		{http.MethodDelete, "/api/v1/graph", http.StatusMethodNotAllowed, "GET, HEAD"},
	} {
		w := call(t, h, tt.method, tt.path, "")
		var problem console.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || problem.Error == "" || w.Code != tt.code || w.Header().Get("Allow") != tt.allow {
			t.Errorf("%s %s: answered %d, Allow %q, %s; want %d, Allow %q and a problem", tt.method, tt.path, w.Code, w.Header().Get("Allow"), w.Body, tt.code, tt.allow)
		}
	}
	for _, path := range []string{"/", "/livez", "/readyz", "/api/v1/modules", "/api/v1/flags", "/api/v1/graph"} {
		if w := call(t, h, http.MethodHead, path, ""); w.Code/100 != 2 && path != "/readyz" {
			t.Errorf("HEAD %s: answered %d, want 200", path, w.Code)
		}
	}
	if w := call(t, h, http.MethodPost, "/livez", ""); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST /livez: answered %d, want 405", w.Code)
	}
}

func TestHost(t *testing.T) {
	t.Parallel()
	paths := []string{"/", "/readyz", "/metrics", "/api/v1/modules", "/api/v1/flags", "/api/v1/graph", "/api/v1/events", "/api/v1/nothing"}
	for _, tt := range []struct {
		settings console.Settings
		host     string
		served   bool
	}{
		{console.Settings{Listen: listen}, "127.0.0.1:8080", true},
		{console.Settings{Listen: listen}, "LOCALHOST", true},
		{console.Settings{Listen: listen}, "[::1]:8080", true},
		{console.Settings{Listen: listen}, "evil.example", false},
		{console.Settings{Listen: listen}, "127.0.0.1.evil.example:8080", false},
		{console.Settings{Listen: listen}, "127.0.0.1:8080.evil.example", false},
		{console.Settings{Listen: listen}, "", false},
		{console.Settings{Listen: listen}, "10.0.0.1:8080", false},
		{console.Settings{Listen: listen, Hosts: []string{"console.example"}}, "Console.Example:8080", true},
		{console.Settings{Listen: "10.0.0.1:8080", Token: token, RequireToken: true}, "10.0.0.1:8080", true},
		{console.Settings{Listen: "10.0.0.1:8080", Token: token, RequireToken: true}, "10.0.0.2:8080", false},
		{console.Settings{Listen: ":8080", Token: token, RequireToken: true}, "10.0.0.2:8080", true},
		{console.Settings{Listen: "[::]:8080", Token: token, RequireToken: true}, "[2001:db8::1]:8080", true},
		{console.Settings{Listen: "0.0.0.0:8080", Token: token, RequireToken: true}, "evil.example:8080", false},
		{console.Settings{Listen: "0.0.0.0:8080", Token: token, RequireToken: true}, "", false},
		{console.Settings{Listen: ":8080", Token: token, RequireToken: true}, "", false},
	} {
		asked := 0
		tt.settings.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ })
		tt.settings.Events = newEvents(8)
		h := handler(t, &fake{}, tt.settings)
		for _, path := range paths {
			w := get(t, h, path, "Host", tt.host, "Authorization", "Bearer "+token, "Accept", "application/json")
			if served := w.Code != http.StatusForbidden; served != tt.served {
				t.Errorf("listen %q, host %q, %s: answered %d %s", tt.settings.Listen, tt.host, path, w.Code, w.Body)
			}
		}
		if (asked == 1) != tt.served {
			t.Errorf("listen %q, host %q: /metrics was asked %d times", tt.settings.Listen, tt.host, asked)
		}
		if w := get(t, h, "/livez", "Host", tt.host); w.Code != http.StatusOK {
			t.Errorf("host %q: /livez answered %d, want 200", tt.host, w.Code)
		}
	}
}

func TestRequireToken(t *testing.T) {
	t.Parallel()
	asked := 0
	h := handler(t, &fake{}, console.Settings{
		Token: token, RequireToken: true, Events: newEvents(8),
		Metrics: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }),
	})
	paths := []string{"/", "/metrics", "/api/v1/modules", "/api/v1/modules/a", "/api/v1/flags", "/api/v1/graph", "/api/v1/events", "/api/v1/nothing"}
	for _, given := range []string{"", "Bearer ", "Bearer wrong", "Bearer " + token + "x", "Basic " + token, token} {
		for _, path := range paths {
			if w := get(t, h, path, "Authorization", given); w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %q: answered %d, want 401 that says how", path, given, w.Code)
			}
		}
	}
	if asked != 0 {
		t.Errorf("%d requests without the token have reached the metrics", asked)
	}
	for _, path := range paths {
		if w := get(t, h, path, "Authorization", "bearer "+token, "Accept", "application/json"); w.Code == http.StatusUnauthorized {
			t.Errorf("%s with the token: answered %d", path, w.Code)
		}
	}
	for _, path := range []string{"/livez", "/readyz"} {
		if w := get(t, h, path); w.Code != http.StatusOK {
			t.Errorf("%s: answered %d, want 200 without a token", path, w.Code)
		}
	}
	if asked != 1 {
		t.Errorf("%d requests with the token have reached the metrics, want 1", asked)
	}
}

func TestCheckListen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		listen string
		alone  bool // nobody else can reach it
		bad    bool
	}{
		{listen: "127.0.0.1:8080", alone: true},
		{listen: "127.8.9.10:0", alone: true},
		{listen: "[::1]:8080", alone: true},
		{listen: "[::ffff:127.0.0.1]:8080", alone: true},
		{listen: "localhost:8080", alone: true},
		{listen: "LocalHost:8080", alone: true},
		{listen: ":8080"},
		{listen: "0.0.0.0:8080"},
		{listen: "[::]:8080"},
		{listen: "10.0.0.1:8080"},
		{listen: "localhost.example:8080"},
		{listen: "127.0.0.1.example:8080"},
		{listen: "127.1:8080"},
		{listen: "8080", bad: true},
		{listen: "", bad: true},
	} {
		if err := console.CheckListen(tt.listen, false); (err == nil) != tt.alone || err != nil && !strings.Contains(err.Error(), fmt.Sprintf("listen: %q", tt.listen)) {
			t.Errorf("%q without authentication: %v", tt.listen, err)
		}
		if err := console.CheckListen(tt.listen, true); (err != nil) != tt.bad {
			t.Errorf("%q with authentication: %v", tt.listen, err)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	err := console.Register(mux, &fake{}, console.Settings{Listen: ":8080", MaxStreams: -1, Heartbeat: -time.Second, WriteTimeout: -time.Second})
	for _, name := range []string{"listen", "maxStreams", "heartbeat", "writeTimeout"} {
		if err == nil || !strings.Contains(err.Error(), name+":") {
			t.Errorf("%q is not in the error %v", name, err)
		}
	}
	if err := console.Register(mux, &fake{}, console.Settings{Listen: listen, RequireToken: true}); err == nil || !strings.Contains(err.Error(), "token:") {
		t.Errorf("a token that is required and missing: %v", err)
	}
	if w := get(t, mux, "/livez"); w.Code != http.StatusNotFound {
		t.Errorf("/livez answered %d, want no routes after an error", w.Code)
	}
}

func TestPageEscapes(t *testing.T) {
	t.Parallel()
	w := get(t, handler(t, one(orchestrator.Status{Name: "a", Error: "<script>"}), console.Settings{}), "/")
	if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "<script>") || !strings.Contains(w.Body.String(), "&lt;script&gt;") {
		t.Errorf("the page answered %d %s", w.Code, w.Body)
	}
}
