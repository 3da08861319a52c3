package noop

import (
	"net/http"

	"github.com/detectviz/switchyard/orchestrator"
)

// serveLive forwards one request to what serves now. The lease lasts as long as the request, and the request's context ends
// when the module's drain timeout has passed.
func serveLive[T http.Handler](live *orchestrator.Live[T], w http.ResponseWriter, r *http.Request) {
	lease := live.Acquire()
	defer lease.Release()
	ctx, cancel := lease.Context(r.Context())
	defer cancel()
	if ctx != r.Context() {
		r = r.WithContext(ctx)
	}
	lease.Value.ServeHTTP(w, r)
}
