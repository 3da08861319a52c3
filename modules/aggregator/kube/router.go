package kube

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration/v1/helper"
	"k8s.io/kube-aggregator/pkg/apiserver"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"

	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
)

// router sends /apis/<group>/<version>/... to the proxy of its APIService. Local groups don't come here: the API server's
// own routes are tried first.
//
// The registration controller calls AddAPIService and RemoveAPIService, one at a time; requests read concurrently.
type router struct {
	discovery classicDiscovery
	next      http.Handler // serves what is not registered
	newProxy  func(*apiregistration.APIService) *backend.Proxy
	synced    <-chan struct{} // closed once everything that is stored is registered
	bounded   func(http.Handler) http.Handler

	routes    sync.Map // schema.GroupVersion → *route
	resources *remoteDiscovery
	describe  []*describer
}

// route is one registered backend. Its proxy stays the same over updates of the APIService.
type route struct {
	proxy *backend.Proxy
	spec  http.Handler // for downloads of the description
}

var _ apiserver.APIHandlerManager = (*router)(nil)

// AddAPIService adds or updates a route. It does not block on a backend.
func (r *router) AddAPIService(service *apiregistration.APIService) error {
	if service.Spec.Service == nil {
		r.forget(service.Name) // it may have been remote before
		return nil
	}
	gv := schema.GroupVersion{Group: service.Spec.Group, Version: service.Spec.Version}
	var current *route
	if known, ok := r.routes.Load(gv); ok {
		current = known.(*route)
		current.proxy.Update(service)
	} else {
		proxy := r.newProxy(service)
		current = &route{proxy: proxy, spec: r.bounded(proxy)}
		r.routes.Store(gv, current)
	}
	r.resources.add(service, current.proxy.Discovery())
	for _, d := range r.describe {
		d.enqueue(service.Name)
	}
	return nil
}

// RemoveAPIService removes a route. Requests in flight end by themselves.
func (r *router) RemoveAPIService(name string) { r.forget(name) }

func (r *router) forget(name string) {
	gv := helper.APIServiceNameToGroupVersion(name)
	known, ok := r.routes.LoadAndDelete(gv)
	if !ok {
		return
	}
	known.(*route).proxy.Close()
	r.resources.remove(name)
	for _, d := range r.describe {
		d.enqueue(name)
	}
}

func (r *router) route(gv schema.GroupVersion) (*route, bool) {
	known, ok := r.routes.Load(gv)
	if !ok {
		return nil, false
	}
	return known.(*route), true
}

// ServeHTTP answers everything below /apis/.
func (r *router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	parts := strings.SplitN(strings.TrimPrefix(req.URL.Path, "/apis/"), "/", 3)
	group := parts[0]
	switch {
	case group == "":
		r.discovery.serveGroups(w, req)
		return
	case len(parts) == 1 || parts[1] == "":
		if r.discovery.serveGroup(w, req, group) {
			return
		}
	default:
		if route, ok := r.route(schema.GroupVersion{Group: group, Version: parts[1]}); ok {
			route.proxy.ServeHTTP(w, req)
			return
		}
	}
	select {
	case <-r.synced:
		r.next.ServeHTTP(w, req)
	default:
		// A 404 would say that the API does not exist, and clients act on that.
		err := apierrors.NewServiceUnavailable("registered API services are being loaded")
		w.Header().Set("Retry-After", "1")
		responsewriters.ErrorNegotiated(err, aggregatorscheme.Codecs, schema.GroupVersion{}, w, req)
	}
}

// boundedBy returns a wrapper that cancels a request after the timeout, or when ctx ends.
func boundedBy(ctx context.Context, timeout time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			limited, cancel := context.WithTimeout(r.Context(), timeout)
			defer cancel()
			defer context.AfterFunc(ctx, cancel)()
			next.ServeHTTP(w, r.WithContext(limited)) //nolint:contextcheck // It is bounded by the request and by ctx.
		})
	}
}
