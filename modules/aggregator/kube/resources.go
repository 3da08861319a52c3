package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"sync"
	"time"

	apidiscovery "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	"k8s.io/apiserver/pkg/endpoints/request"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration/v1/helper"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"

	"github.com/detectviz/switchyard/modules/aggregator/kube/availability"
)

const (
	// refreshPeriod is how often the resources of an available backend are fetched again, as upstream.
	refreshPeriod = time.Minute
	// firstRetry is how long after a failure they are; it doubles with each failure, up to refreshPeriod.
	firstRetry = 500 * time.Millisecond
	// Fetches that begin together; one that lasts longer than slowFetch is not counted.
	freshFetches, slowFetch = 64, 200 * time.Millisecond
	// maxDocument is how many bytes of a backend's document are read.
	maxDocument = 64 << 20
)

// remoteDiscovery keeps the resources of backends in aggregated discovery.
//
// Each APIService is followed by a goroutine of its own, so that one whose backend hangs delays no other: upstream has two
// workers for all. A backend is asked while it is available, at most once at a time, for /apis/<group>/<version>, which is
// what its availability depends on as well. What it said last stays, marked stale, while it does not answer.
type remoteDiscovery struct {
	target  aggregated.ResourceManager
	timeout time.Duration // of a fetch
	log     *slog.Logger
	in      *background
	begin   chan struct{} // closed by run: before, nothing is fetched
	slots   *availability.Slots

	mu       sync.Mutex
	followed map[string]*followed // by the name of the APIService
}

// followed is an APIService in remoteDiscovery, whose lock guards the first fields.
type followed struct {
	service   *apiregistration.APIService
	handler   http.Handler
	resources []apidiscovery.APIResourceDiscovery // last known
	current   bool                                // the last fetch succeeded, and it has been available since
	shown     *apiregistration.APIService         // whose priorities are known to the document
	interrupt context.CancelFunc                  // ends a fetch that is under way

	stop    context.CancelFunc
	changed chan struct{} // capacity 1: service is not what was looked at
	tried   chan struct{} // closed after the first fetch
}

func newRemoteDiscovery(target aggregated.ResourceManager, timeout time.Duration, log *slog.Logger, in *background) *remoteDiscovery {
	// The group of registrations comes first, as in kube-aggregator.
	target.WithSource(aggregated.BuiltinSource).SetGroupVersionPriority(metav1.GroupVersion(apiregistration.SchemeGroupVersion), 20001, 0)
	return &remoteDiscovery{
		target:   target.WithSource(aggregated.AggregatorSource),
		timeout:  timeout,
		log:      log,
		in:       in,
		begin:    make(chan struct{}),
		slots:    availability.NewSlots(freshFetches, slowFetch),
		followed: map[string]*followed{},
	}
}

// run begins to fetch, and returns once each backend that is known by now was asked or does not have to be, or ctx ends. It
// is called once.
func (d *remoteDiscovery) run(ctx context.Context) {
	close(d.begin)
	d.mu.Lock()
	var tried []<-chan struct{}
	for _, f := range d.followed {
		tried = append(tried, f.tried)
	}
	d.mu.Unlock()
	for _, c := range tried {
		if !waitFor(ctx, c) {
			return
		}
	}
}

// add follows an APIService, or takes a change of it over. It does not block on a backend. The handler reaches the backend.
func (d *remoteDiscovery) add(service *apiregistration.APIService, handler http.Handler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, known := d.followed[service.Name]
	if !known {
		ctx, stop := context.WithCancel(d.in.ctx)
		f = &followed{
			service: service, handler: handler, interrupt: func() {}, stop: stop,
			changed: make(chan struct{}, 1), tried: make(chan struct{}),
		}
		d.followed[service.Name] = f
		d.show(f)
		d.in.run("discovery of "+service.Name, func(context.Context) {
			defer stop()
			d.follow(ctx, f)
		})
		return
	}
	before := f.service
	f.service, f.handler = service, handler
	if available(before) != available(service) || !reflect.DeepEqual(before.Spec, service.Spec) {
		f.interrupt()
	}
	f.current = f.current && available(service)
	d.show(f)
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// remove takes an APIService out of discovery.
func (d *remoteDiscovery) remove(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, known := d.followed[name]
	if !known {
		return
	}
	delete(d.followed, name)
	f.stop()
	d.target.RemoveGroupVersion(groupVersionOf(f.service))
}

// follow keeps the resources of one APIService until ctx ends.
func (d *remoteDiscovery) follow(ctx context.Context, f *followed) {
	tried := sync.OnceFunc(func() { close(f.tried) })
	defer tried()
	if !waitFor(ctx, d.begin) {
		return
	}
	retry := firstRetry
	for {
		var again <-chan time.Time
		switch err := d.refresh(ctx, f); {
		case errors.Is(err, errUnavailable): // there will be a change when it is
			retry = firstRetry
		case err != nil:
			again = time.After(retry)
			retry = min(2*retry, refreshPeriod)
		default:
			again = time.After(wait.Jitter(refreshPeriod*4/5, 0.5))
			retry = firstRetry
		}
		tried()
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-f.changed:
		}
	}
}

// errUnavailable is why a backend is not asked.
var errUnavailable = errors.New("the APIService is not available")

// refresh fetches once and publishes the outcome.
func (d *remoteDiscovery) refresh(ctx context.Context, f *followed) error {
	fetching, cancel := context.WithCancel(ctx)
	defer cancel()
	d.mu.Lock()
	service, handler := f.service, f.handler
	f.interrupt = cancel
	d.mu.Unlock()
	if !available(service) {
		return errUnavailable
	}
	resources, err := d.fetch(fetching, service, handler)
	d.mu.Lock()
	defer d.mu.Unlock()
	if fetching.Err() != nil {
		return fetching.Err() // removed, or not what is registered any more
	}
	if err != nil && f.current {
		d.log.Warn("the resources of an API service could not be fetched", "apiservice", service.Name, "error", err)
	}
	if f.current = err == nil; f.current {
		f.resources = resources
	}
	d.show(f)
	return err
}

// show writes what is known into the document. The lock is held.
func (d *remoteDiscovery) show(f *followed) {
	gv := groupVersionOf(f.service)
	entry := apidiscovery.APIVersionDiscovery{
		Version: gv.Version, Resources: f.resources, Freshness: apidiscovery.DiscoveryFreshnessStale,
	}
	if f.current {
		entry.Freshness = apidiscovery.DiscoveryFreshnessCurrent
	}
	d.target.AddGroupVersion(gv.Group, entry)
	// Setting a priority has the whole document made again, also if it is the same.
	now, before := f.service.Spec, f.shown
	if before == nil || before.Spec.GroupPriorityMinimum != now.GroupPriorityMinimum || before.Spec.VersionPriority != now.VersionPriority {
		d.target.SetGroupVersionPriority(gv, int(now.GroupPriorityMinimum), int(now.VersionPriority))
	}
	f.shown = f.service
}

// fetch asks a backend for the resources of its group and version.
func (d *remoteDiscovery) fetch(ctx context.Context, service *apiregistration.APIService, handler http.Handler) ([]apidiscovery.APIResourceDiscovery, error) {
	leave, ok := d.slots.Enter(ctx)
	if !ok {
		return nil, ctx.Err()
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	path := "/apis/" + groupVersionOf(service).String()
	ctx = request.WithUser(ctx, &user.DefaultInfo{Name: "system:kube-aggregator", Groups: []string{user.SystemPrivilegedGroup}})
	ctx = request.WithRequestInfo(ctx, &request.RequestInfo{Path: path})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	r.Header.Set("Accept", runtime.ContentTypeJSON)
	answer := newAnswer()
	handler.ServeHTTP(answer, r)
	if answer.code != http.StatusOK {
		return nil, fmt.Errorf("GET %s: status %d, want 200", path, answer.code)
	}
	var list metav1.APIResourceList
	if err := runtime.DecodeInto(aggregatorscheme.Codecs.UniversalDecoder(), answer.body.Bytes(), &list); err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	resources, err := endpoints.ConvertGroupVersionIntoToDiscovery(list.APIResources)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	return resources, nil
}

func groupVersionOf(service *apiregistration.APIService) metav1.GroupVersion {
	return metav1.GroupVersion{Group: service.Spec.Group, Version: service.Spec.Version}
}

func available(service *apiregistration.APIService) bool {
	return helper.IsAPIServiceConditionTrue(service, apiregistration.Available)
}

// answer keeps a backend's answer in memory, up to maxDocument.
type answer struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func newAnswer() *answer { return &answer{header: http.Header{}} }

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(code int) {
	if a.code == 0 && code >= http.StatusOK {
		a.code = code
	}
}

// Write fails for what is too large; what is there by then can't be decoded.
func (a *answer) Write(data []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.body.Len()+len(data) > maxDocument {
		a.code = http.StatusBadGateway
		return 0, fmt.Errorf("the document of a backend is larger than %d bytes", maxDocument)
	}
	return a.body.Write(data) //nolint:wrapcheck // It has no error.
}
