package kube

import (
	"context"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime/schema"
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
// registration of all others.
type describer struct {
	target   specAggregator
	services listers.APIServiceLister
	route    func(schema.GroupVersion) (*route, bool)
	queue    workqueue.TypedInterface[string]
	added    map[string]bool // used by run only
}

func newDescriber(target specAggregator, services listers.APIServiceLister, route func(schema.GroupVersion) (*route, bool)) *describer {
	return &describer{
		target:   target,
		services: services,
		route:    route,
		queue:    workqueue.NewTyped[string](),
		added:    map[string]bool{},
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
	switch {
	case !registered || err != nil:
		if d.added[name] {
			d.target.RemoveAPIService(name)
			delete(d.added, name)
		}
	case !helper.IsAPIServiceConditionTrue(service, apiregistration.Available):
		// What it said last stays; asking now would only fail. There will be another call when it is available.
	case d.added[name]:
		d.target.UpdateAPIService(current.spec, service)
	default:
		d.target.AddAPIService(current.spec, service)
		d.added[name] = true
	}
}
