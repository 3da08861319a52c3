// Package aggregator is the contract of API aggregation: one address for many API servers. (Not the sum or the average of
// anything.) It imports the standard library only, so that a consumer links neither Kubernetes nor etcd.
//
// The real implementation is in modules/aggregator/kube, the noop in modules/noop.
package aggregator

import (
	"context"
	"net/http"
	"time"
)

// Aggregator serves many API servers under one address.
//
// As an http.Handler it answers /apis, /openapi, /version and the health paths, and proxies /apis/<group>/<version>/...
// to the API server that is registered for it. Handler calls may last as long as the client wants (watch, upgrade); they
// end when the module drains. All methods are safe for concurrent use.
type Aggregator interface {
	http.Handler
	// Services lists what is registered, sorted by name, with its availability as this process sees it. It does not block
	// on a backend. A disabled aggregator returns an error that matches orchestrator.ErrDisabled.
	Services(ctx context.Context) ([]Service, error)
}

// Service is one registered group and version.
type Service struct {
	Name      string    `json:"name"`              // <version>.<group>
	Group     string    `json:"group"`             // for example wardle.example.com
	Version   string    `json:"version"`           // for example v1alpha1
	Backend   string    `json:"backend,omitempty"` // namespace/name of the registered backend; empty: served in process
	Available bool      `json:"available"`
	Reason    string    `json:"reason"`  // upstream's reasons: Local, Passed, ServiceNotFound, FailedDiscoveryCheck, ...
	Message   string    `json:"message"` // for people
	Since     time.Time `json:"since"`   // last change of Available
}
