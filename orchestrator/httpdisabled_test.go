package orchestrator_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/detectviz/switchyard/orchestrator"
)

// The bytes are a contract with kubectl and client-go, and with whoever scripts against them.
func TestServeDisabled(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		n := &orchestrator.Noop{}
		w := httptest.NewRecorder()
		orchestrator.ServeDisabled(n, w, httptest.NewRequestWithContext(t.Context(), method, "/apis", http.NoBody))
		want := `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"module \"\" is disabled: not bound to a module",` +
			`"reason":"ModuleDisabled","details":{"name":"","kind":"module"},"code":503}` + "\n"
		if method == http.MethodHead {
			want = ""
		}
		if w.Code != http.StatusServiceUnavailable || w.Body.String() != want {
			t.Errorf("%s: answered %d\n%s\nwant 503\n%s", method, w.Code, w.Body, want)
		}
		for name, want := range map[string]string{
			"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: header %s is %q, want %q", method, name, got, want)
			}
		}
		if n.Calls() != 1 {
			t.Errorf("%s: %d calls were counted, want 1", method, n.Calls())
		}
	}
}
