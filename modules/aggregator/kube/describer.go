package kube

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/util/workqueue"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration/v1/helper"
	listers "k8s.io/kube-aggregator/pkg/client/listers/apiregistration/v1"
)

// specAggregator is what the OpenAPI v2 and v3 controllers upstream have in common.
type specAggregator interface {
	AddAPIService(http.Handler, *apiregistration.APIService)
	UpdateAPIService(http.Handler, *apiregistration.APIService)
	RemoveAPIService(name string)
}

// describer tells one OpenAPI controller about registrations, on a goroutine of its own. The controllers upstream hold
// their lock during a download, so that a backend which accepts connections and never answers would otherwise stop the
// registration of all others; see download for how it does not stop their descriptions either.
type describer struct {
	target   specAggregator
	services listers.APIServiceLister
	route    func(schema.GroupVersion) (*route, bool)
	in       *background
	timeout  time.Duration // of a download
	queue    workqueue.TypedInterface[string]
	added    map[string]told // used by run only
}

// told is what the controller knows about an APIService.
type told struct {
	route *route
	spec  http.Handler
}

func newDescriber(target specAggregator, services listers.APIServiceLister, route func(schema.GroupVersion) (*route, bool), timeout time.Duration, in *background) *describer {
	return &describer{
		target:   target,
		services: services,
		route:    route,
		in:       in,
		timeout:  timeout,
		queue:    workqueue.NewTyped[string](),
		added:    map[string]told{},
	}
}

// enqueue asks for the registration to be told; it does not block.
func (d *describer) enqueue(name string) { d.queue.Add(name) }

// run works until ctx ends.
func (d *describer) run(ctx context.Context) {
	defer context.AfterFunc(ctx, d.queue.ShutDown)()
	for {
		name, shutdown := d.queue.Get()
		if shutdown {
			return
		}
		d.tell(name)
		d.queue.Done(name)
	}
}

func (d *describer) tell(name string) {
	current, registered := d.route(helper.APIServiceNameToGroupVersion(name))
	service, err := d.services.Get(name)
	before, added := d.added[name]
	switch {
	case !registered || err != nil:
		if added {
			d.target.RemoveAPIService(name)
			delete(d.added, name)
		}
	case !available(service):
		// What it said last stays; asking now would only fail. There will be another call when it is available.
	case added && before.route == current:
		d.target.UpdateAPIService(before.spec, service)
	default:
		// It is new, or was removed and registered again: an update would not replace the handler.
		spec := &download{
			next: current.proxy, direct: current.spec, timeout: d.timeout, in: d.in,
			again: func() { d.enqueue(name) }, asked: map[string]*asked{},
		}
		d.target.AddAPIService(spec, service)
		d.added[name] = told{current, spec}
	}
}

// patience is how long the OpenAPI controllers, and all who want their lock, wait for one backend.
const patience = 100 * time.Millisecond

// download answers an OpenAPI controller that downloads a backend's description, and holds the lock for the descriptions of
// all backends meanwhile: within patience, or it says 503. An answer that comes later is kept, and the controller is made to
// ask again. The backend is asked once at a time.
type download struct {
	next    http.Handler // the backend
	direct  http.Handler // for the requests of clients, which come by here as well
	timeout time.Duration
	in      *background
	again   func() // does not block

	mu    sync.Mutex
	asked map[string]*asked // by path
	slow  bool              // there was no answer lately: it is not waited for
}

// asked is a request to the backend. Its answer is complete when done is closed.
type asked struct {
	etag   string
	answer *answer
	done   chan struct{}
	late   bool // nobody waits
}

func (d *download) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/openapi/v2" && r.URL.Path != "/openapi/v3" {
		d.direct.ServeHTTP(w, r)
		return
	}
	a, worthwhile := d.ask(r)
	if worthwhile {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-a.done:
		case <-timer.C:
		}
	}
	got, ok := d.take(r.URL.Path, a)
	if !ok {
		http.Error(w, "the backend has not answered yet", http.StatusServiceUnavailable)
		return
	}
	maps.Copy(w.Header(), got.header)
	w.WriteHeader(got.code)
	_, _ = w.Write(got.body.Bytes()) // into memory
}

// ask returns what was asked before and not taken, or else asks the backend. It reports whether to wait.
func (d *download) ask(r *http.Request) (_ *asked, worthwhile bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	path, etag := r.URL.Path, r.Header.Get("If-None-Match")
	if a, ok := d.asked[path]; ok && (a.etag == etag || !isClosed(a.done)) {
		return a, false
	}
	a := &asked{etag: etag, answer: newAnswer(), done: make(chan struct{})}
	d.asked[path] = a
	who, _ := request.UserFrom(r.Context())
	r = r.Clone(context.Background()) //nolint:contextcheck // It outlives the request that it was made for.
	d.in.run("download of "+path, func(ctx context.Context) {
		limited, cancel := context.WithTimeout(request.WithUser(ctx, who), d.timeout)
		defer cancel()
		d.next.ServeHTTP(a.answer, r.WithContext(limited))
		if !d.finish(path, a) {
			return
		}
		select {
		case <-time.After(patience): // by then, the controller has taken note of the 503
			d.again()
		case <-ctx.Done():
		}
	})
	return a, !d.slow
}

// finish reports whether the answer is good and too late.
func (d *download) finish(path string, a *asked) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(a.done)
	good := a.answer.code != 0 && a.answer.code < http.StatusInternalServerError
	d.slow = a.late && !good
	if a.late && !good {
		delete(d.asked, path)
	}
	return a.late && good
}

// take returns the answer and forgets it. It reports false if there is none, or none yet: then it is left for later.
func (d *download) take(path string, a *asked) (*answer, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !isClosed(a.done) {
		a.late = true
		return nil, false
	}
	if d.asked[path] == a {
		delete(d.asked, path)
	}
	return a.answer, a.answer.code != 0
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
