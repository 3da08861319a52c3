package orchestrator

import (
	"encoding/json"
	"net/http"
)

// DisabledReason is the reason in the Status body with which a module that does not run answers an HTTP request.
const DisabledReason = "ModuleDisabled"

// ServeDisabled is how a noop answers an HTTP request: it counts the call and answers 503 with a Kubernetes Status (meta/v1)
// that names the module, its flag and the reason, so that kubectl and client-go print the message.
func ServeDisabled(n *Noop, w http.ResponseWriter, r *http.Request) {
	_ = n.Called()
	disabled := n.Disabled()
	body, err := json.Marshal(disabledStatus{
		Kind:       "Status",
		APIVersion: "v1",
		Status:     "Failure",
		Message:    disabled.Error(),
		Reason:     DisabledReason,
		Details:    &disabledDetails{Name: disabled.Module, Kind: "module"},
		Code:       http.StatusServiceUnavailable,
	})
	if err != nil { // strings and numbers always marshal
		http.Error(w, disabled.Error(), http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusServiceUnavailable)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(body, '\n'))
	}
}

// disabledStatus is the wire form of a Status, written here so that a noop links no Kubernetes package.
type disabledStatus struct {
	Kind       string           `json:"kind"`
	APIVersion string           `json:"apiVersion"`
	Metadata   struct{}         `json:"metadata"`
	Status     string           `json:"status"`
	Message    string           `json:"message"`
	Reason     string           `json:"reason"`
	Details    *disabledDetails `json:"details,omitempty"`
	Code       int              `json:"code"`
}

type disabledDetails struct {
	Name string `json:"name"` // the module
	Kind string `json:"kind"`
}

// ForwardHTTP forwards one request to what serves now. The lease lasts as long as the request, and the request's context
// ends when the module's drain timeout has passed.
func ForwardHTTP[T http.Handler](live *Live[T], w http.ResponseWriter, r *http.Request) {
	lease := live.AcquireContext(r.Context())
	defer lease.Release()
	ctx, cancel := lease.Context(r.Context())
	defer cancel()
	if ctx != r.Context() {
		r = r.WithContext(ctx)
	}
	lease.Value.ServeHTTP(w, r)
}
