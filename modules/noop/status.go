package noop

import (
	"encoding/json"
	"net/http"

	"github.com/detectviz/switchyard/orchestrator"
)

// Reason is the reason in the Status body of a module that does not run.
const Reason = "ModuleDisabled"

// status is the wire form of a Kubernetes Status (meta/v1), written here so that a noop links no Kubernetes package.
type status struct {
	Kind       string         `json:"kind"`
	APIVersion string         `json:"apiVersion"`
	Metadata   struct{}       `json:"metadata"`
	Status     string         `json:"status"`
	Message    string         `json:"message"`
	Reason     string         `json:"reason"`
	Details    *statusDetails `json:"details,omitempty"`
	Code       int            `json:"code"`
}

type statusDetails struct {
	Name string `json:"name"` // the module
	Kind string `json:"kind"`
}

// serveDisabled counts a call and answers 503 with a Status that names the module, its flag and the reason.
func serveDisabled(n *orchestrator.Noop, w http.ResponseWriter, r *http.Request) {
	_ = n.Called()
	disabled := n.Disabled()
	body, err := json.Marshal(status{
		Kind:       "Status",
		APIVersion: "v1",
		Status:     "Failure",
		Message:    disabled.Error(),
		Reason:     Reason,
		Details:    &statusDetails{Name: disabled.Module, Kind: "module"},
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
