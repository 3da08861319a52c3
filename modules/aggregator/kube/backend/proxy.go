package backend

import (
	"context"
	"log"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/util/flowcontrol"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// ProxySettings are what the proxies of all APIServices share. Resolver, Transports and Log are required.
type ProxySettings struct {
	Resolver   *Resolver
	Transports *Transports
	Log        *slog.Logger
	// DiscoveryTimeout bounds a request for /apis/<group>/<version>, which clients make for many versions one after the
	// other. Default 5s. Other requests last as long as their context does.
	DiscoveryTimeout time.Duration
}

// Proxy forwards requests to the backend of one APIService, in the name of the user that the request's context has
// (request.UserFrom).
//
// The backend gets the user in X-Remote-User, X-Remote-Uid, X-Remote-Group and X-Remote-Extra-*, over a connection with our
// front-proxy client certificate. It does not get: such headers of the client in any spelling, Impersonate-*, Authorization,
// cookies, X-Forwarded-* other than ours, and trailers. The client does not get from the backend: redirects (502), cookies,
// CORS headers.
//
// WebSocket and SPDY upgrades are forwarded, no others. Watches and other streams pass byte by byte, as long as the request's
// context lasts. A failure is answered with a Status in JSON that does not tell where the backend is: 500 without a user, 502
// for a redirect, 503 if the APIService is not available or the backend can't be reached or verified, 504 after the deadline.
// A backend that fails in the middle of an answer ends the request with panic(http.ErrAbortHandler), as in net/http/httputil:
// the client must not take the part for the whole.
//
// All methods are safe for concurrent use. A request takes no lock of the proxy, and for a moment the read lock of the store of
// ExternalNames.
type Proxy struct {
	resolver   *Resolver
	transports *Transports
	timeout    time.Duration
	log        *slog.Logger
	errorLog   *log.Logger
	failures   rate.Sometimes

	service atomic.Pointer[service]
	target  atomic.Pointer[target]

	mu     sync.Mutex // held to change target
	closed bool
}

var _ http.Handler = (*Proxy)(nil)

// NewProxy returns a Proxy for the APIService. It connects to nothing before the first request.
func NewProxy(s ProxySettings, service *apiregistration.APIService) *Proxy {
	if s.DiscoveryTimeout == 0 {
		s.DiscoveryTimeout = 5 * time.Second
	}
	log := s.Log.With("apiservice", service.Name)
	p := &Proxy{
		resolver:   s.Resolver,
		transports: s.Transports,
		timeout:    s.DiscoveryTimeout,
		log:        log,
		errorLog:   slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		failures:   rate.Sometimes{First: 1, Interval: 10 * time.Second},
	}
	p.Update(service)
	return p
}

// Update takes over a new version of the APIService: its availability, which backend it means, how TLS is verified. Requests
// in flight go on as they began. Calls must come in the order of the versions.
func (p *Proxy) Update(service *apiregistration.APIService) {
	p.service.Store(newService(service, p.service.Load()))
}

// Close gives the connections up and refuses further requests with 503. Requests in flight go on.
func (p *Proxy) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	p.service.Store(&service{name: p.service.Load().name})
	if current := p.target.Swap(nil); current != nil {
		current.transport.Release()
	}
}

// ServeHTTP forwards a request. While the condition Available of the APIService is not true, it answers 503.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.serve(w, r, p.service.Load(), true)
}

// Discovery returns a handler that forwards whether the APIService is available or not, for what finds out about the backend.
func (p *Proxy) Discovery() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.serve(w, r, p.service.Load(), false)
	})
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request, to *service, onlyAvailable bool) {
	if onlyAvailable && !to.available {
		respondUnavailable(w, to.name)
		return
	}
	who, ok := request.UserFrom(r.Context())
	if !ok {
		respond(w, http.StatusInternalServerError, metav1.StatusReasonInternalError, "missing user")
		return
	}
	if reason := inadmissible(r); reason != "" {
		respond(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, reason)
		return
	}
	target, err := p.find(to.reference)
	if err != nil {
		if onlyAvailable {
			p.report(err)
		}
		respondUnavailable(w, to.name)
		return
	}
	if isDiscovery(r.URL.Path) {
		ctx, cancel := context.WithTimeout(r.Context(), p.timeout)
		defer cancel()
		r = r.WithContext(ctx)
	}
	flowcontrol.RequestDelegated(r.Context())
	f := forward{proxy: p, service: to, target: target, user: who, quiet: !onlyAvailable}
	f.serve(w, r)
}

// report logs a failure, unless there was one a moment ago: what a client did not get told is for the operator, once.
func (p *Proxy) report(err error) {
	p.failures.Do(func() { p.log.Warn("a request could not be forwarded", "error", err) })
}
