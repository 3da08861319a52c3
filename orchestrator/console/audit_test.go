package console_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/console"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	authorized := []string{"Content-Type", "application/json", "Authorization", "Bearer " + token, "User-Agent", "curl/8"}
	type entry map[string]any
	now := &orchestrator.Override{Module: "a", Reason: "too loud", Actor: "console 192.0.2.1:1234"}
	was := &orchestrator.Override{Module: "a", Reason: "before", Actor: "ann"}
	for name, tt := range map[string]struct {
		method, path, body string
		header             []string
		required           bool
		applyErr           error
		want               entry // nil: nothing is recorded
	}{
		"read":         {method: http.MethodGet, path: "/api/v1/modules"},
		"read refused": {method: http.MethodGet, path: "/api/v1/modules", header: []string{"Host", "evil.example"}},
		"set": {path: "/api/v1/modules/a/override", body: `{"enabled": false, "reason": "too loud"}`, want: entry{
			"level": "INFO", "what": "PUT /api/v1/modules/{name}/override", "subject": "a", "from": was.String(),
			"to": now.String(), "reason": "too loud", "result": "accepted", "status": 200.0,
		}},
		"clear": {method: http.MethodDelete, path: "/api/v1/modules/a/override", want: entry{
			"level": "INFO", "what": "DELETE /api/v1/modules/{name}/override", "subject": "a", "from": was.String(), "to": "none", "reason": "", "result": "accepted", "status": 200.0,
		}},
		"invalid": {path: "/api/v1/modules/a/override", body: `{"enabled": false}`, want: entry{
			"level": "WARN", "subject": "a", "to": "off", "result": "failed", "status": 422.0, "error": `reason: "": allowed is text`,
		}},
		"no token": {path: "/api/v1/modules/a/override", header: []string{"Authorization", ""}, want: entry{
			"level": "WARN", "what": "PUT /api/v1/modules/{name}/override", "subject": "/api/v1/modules/a/override", "result": "refused", "status": 401.0,
		}},
		"no token, required": {path: "/api/v1/modules/a/override", required: true, header: []string{"Authorization", ""}, want: entry{
			"level": "WARN", "what": "PUT", "subject": "/api/v1/modules/a/override", "result": "refused", "status": 401.0,
		}},
		"foreign host": {path: "/api/v1/modules/a/override", header: []string{"Host", "evil.example"}, want: entry{
			"level": "WARN", "what": "PUT", "result": "refused", "status": 403.0,
		}},
		"foreign origin": {path: "/api/v1/modules/a/override", header: []string{"Origin", "http://evil.example"}, want: entry{
			"level": "WARN", "what": "PUT /api/v1/modules/{name}/override", "result": "refused", "status": 403.0,
		}},
		"apply": {method: http.MethodPost, path: "/api/v1/apply", body: `{"set": {"b": "on", "a": "off"}, "clear": ["c"], "reason": "night"}`, want: entry{
			"level": "INFO", "what": "POST /api/v1/apply", "subject": "a=off, b=on, clear c", "reason": "night", "result": "accepted", "status": 200.0,
		}},
		"apply fails": {method: http.MethodPost, path: "/api/v1/apply", body: `{"clear": ["c"], "reason": "night"}`,
			applyErr: &orchestrator.ApplyError{Module: "c", Cause: errors.New("port in use"), RolledBack: true}, want: entry{
				"level": "WARN", "subject": "clear c", "result": "failed", "status": 409.0,
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			e := one(orchestrator.Status{Name: "a"})
			e.force, e.applyErr = was, tt.applyErr
			h := handler(t, e, console.Settings{Token: token, RequireToken: tt.required, Audit: slog.New(slog.NewJSONHandler(&log, nil))})
			method := tt.method
			if method == "" {
				method = http.MethodPut
			}
			call(t, h, method, tt.path, tt.body, slices.Concat(authorized, tt.header)...)
			if tt.want == nil {
				if log.Len() > 0 {
					t.Errorf("recorded %s, want nothing", log.String())
				}
				return
			}
			var got entry
			if err := json.Unmarshal(log.Bytes(), &got); err != nil {
				t.Fatalf("recorded %q, want one record: %v", log.String(), err)
			}
			if got["who"] != "192.0.2.1:1234" || got["userAgent"] != "curl/8" {
				t.Errorf("recorded %v, want who and with what", got)
			}
			for key, want := range tt.want {
				if diff := cmp.Diff(want, got[key]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", key, diff)
				}
			}
			if strings.Contains(log.String(), token) {
				t.Error("the token is in the record")
			}
		})
	}
}

func TestAuditCannotBeForged(t *testing.T) {
	t.Parallel()
	for name, newHandler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			h := handler(t, one(orchestrator.Status{Name: "a"}), console.Settings{Token: token, Audit: slog.New(newHandler(&log))})
			forged := "x\nlevel=INFO msg=console result=accepted"
			body, err := json.Marshal(map[string]any{"enabled": true, "reason": forged + strings.Repeat("é", 4096)})
			if err != nil {
				t.Fatal(err)
			}
			call(t, h, http.MethodPut, "/api/v1/modules/a/override", string(body),
				"Content-Type", "application/json", "Authorization", "Bearer "+token, "User-Agent", forged+strings.Repeat("é", 4096))
			if lines := strings.Count(log.String(), "\n"); lines != 1 {
				t.Errorf("%d lines were written, want 1:\n%s", lines, log.String())
			}
			if log.Len() > 4096 {
				t.Errorf("%d bytes were written for one request, want few", log.Len())
			}
		})
	}
}
