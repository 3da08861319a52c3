package console_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/console"
)

func post(t testing.TB, h http.Handler, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	return call(t, h, http.MethodPost, path, body, append([]string{"Content-Type", "application/json", "Authorization", "Bearer " + token}, header...)...)
}

const goodChange = `{"set": {"a": "off", "c": "etcd"}, "clear": ["b"], "ttl": "10m", "reason": "night"}`

func TestPlanAndApply(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		path, body        string
		header            []string
		planErr, applyErr error
		code              int
		text              string
		planned, applied  int
	}{
		"plan":                {path: "plan", code: 200, text: `"stop"`, planned: 1},
		"plan without reason": {path: "plan", body: `{"set": {"a": "off"}}`, code: 200, planned: 1},
		"plan, no token":      {path: "plan", header: []string{"Authorization", ""}, code: 200, planned: 1},
		"apply, no token":     {path: "apply", header: []string{"Authorization", ""}, code: 401},
		"plan, foreign":       {path: "plan", header: []string{"Origin", "http://evil.example"}, code: 403},
		"plan, rebound":       {path: "plan", header: []string{"Host", "evil.example"}, code: 403},
		"plan, form":          {path: "plan", header: []string{"Content-Type", "text/plain"}, code: 415},
		"plan, unknown":       {path: "plan", planErr: &orchestrator.UnknownModuleError{Name: "a"}, code: 404, planned: 1},
		"plan, refused":       {path: "plan", planErr: &orchestrator.OverrideError{Field: "set.a", Value: "x", Allowed: "on or off"}, code: 422, text: `"set.a"`, planned: 1},
		"plan, bad change":    {path: "plan", planErr: &orchestrator.ChangeError{Field: "set.a", Value: "x", Allowed: "on or off"}, code: 422, text: `"set.a"`, planned: 1},
		"plan, broken":        {path: "plan", planErr: errors.New("disk"), code: 500, planned: 1},
		"apply":               {path: "apply", code: 200, text: `"stop"`, planned: 1, applied: 1},
		"apply, unknown":      {path: "apply", planErr: &orchestrator.UnknownModuleError{Name: "a"}, code: 404, planned: 1},
		"apply, stale":        {path: "apply", applyErr: &orchestrator.StalePlanError{}, code: 409, text: `"conflict": "stale"`, planned: 1, applied: 1},
		"apply, busy":         {path: "apply", applyErr: fmt.Errorf("a: %w", orchestrator.ErrChangeRunning), code: 409, text: `"conflict": "busy"`, planned: 1, applied: 1},
		"apply, rolled back":  {path: "apply", applyErr: fmt.Errorf("c: %w", &orchestrator.ApplyError{Module: "c", Cause: errors.New("port in use"), RolledBack: true}), code: 409, text: `"conflict": "rolledBack"`, planned: 1, applied: 1},
		"apply, module gone":  {path: "apply", applyErr: &orchestrator.ApplyError{Module: "c", Cause: &orchestrator.ChangeError{Field: "x"}}, code: 409, text: `"conflict": "failed"`, planned: 1, applied: 1},
		"nothing":             {path: "plan", body: `{}`, code: 422, text: `"set"`},
		"bad ttl":             {path: "plan", body: `{"set": {"a": "on"}, "ttl": "x"}`, code: 422, text: `"ttl"`},
		"unknown field":       {path: "apply", body: `{"sett": {}}`, code: 400, text: "sett"},
		"trailing garbage":    {path: "apply", body: goodChange + "]", code: 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &fake{planErr: tt.planErr, applyErr: tt.applyErr}
			body := tt.body
			if body == "" {
				body = goodChange
			}
			w := post(t, handler(t, c, console.Settings{Token: token}), "/api/v1/"+tt.path, body, tt.header...)
			if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.text) {
				t.Errorf("answered %d %s, want %d with %q", w.Code, w.Body, tt.code, tt.text)
			}
			if c.planned != tt.planned || c.applied != tt.applied {
				t.Errorf("planned %d times and applied %d times, want %d and %d", c.planned, c.applied, tt.planned, tt.applied)
			}
			var problem console.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &problem); w.Code >= 400 && (err != nil || problem.Error == "") {
				t.Errorf("answered %s (%v), want a problem", w.Body, err)
			}
			if tt.body != "" || c.planned == 0 {
				return
			}
			want := orchestrator.Change{Set: map[string]string{"a": "off", "c": "etcd"}, Clear: []string{"b"}, TTL: 10 * time.Minute, Reason: "night", Actor: "console 192.0.2.1:1234"}
			if diff := cmp.Diff(want, c.change); diff != "" {
				t.Errorf("the change that was planned (-want +got):\n%s", diff)
			}
		})
	}
}
