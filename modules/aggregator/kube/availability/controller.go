package availability

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	client "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/typed/apiregistration/v1"
	informers "k8s.io/kube-aggregator/pkg/client/informers/externalversions/apiregistration/v1"
	listers "k8s.io/kube-aggregator/pkg/client/listers/apiregistration/v1"

	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
)

// Parts are what a Controller works with. All are required.
type Parts struct {
	APIServices   informers.APIServiceInformer
	ExternalNames cache.SharedIndexInformer // see backend.NewInformer; the Resolver reads its store
	Client        client.APIServicesGetter  // writes the status; should not be limited in its rate
	Resolver      *backend.Resolver
	Transports    *backend.Transports
	Log           *slog.Logger
}

// Controller checks the backends of all remote APIServices for as long as it runs. Its methods are safe for concurrent use.
type Controller struct {
	Parts
	settings Settings
	services listers.APIServiceLister
	queue    workqueue.TypedRateLimitingInterface[string] // names of APIServices; made by Run, as it starts goroutines
	running  *running
	view     *view
}

// New returns a Controller that does nothing yet. It adds an index to the informer of APIServices; one informer serves one
// Controller.
func New(parts Parts, settings Settings) (*Controller, error) {
	settings = settings.withDefaults()
	if err := parts.APIServices.Informer().AddIndexers(cache.Indexers{byBackend: backendOf}); err != nil {
		return nil, fmt.Errorf("index of apiservices: %w", err)
	}
	return &Controller{
		Parts:    parts,
		settings: settings,
		services: parts.APIServices.Lister(),
		running:  newRunning(),
		view:     newView(),
	}, nil
}

// Run checks until ctx ends, and returns when the last check has ended. The informers must be run by the caller. It is called
// once.
func (c *Controller) Run(ctx context.Context) error {
	c.queue = workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[string](c.settings.MinBackoff, c.settings.MaxBackoff),
		workqueue.TypedRateLimitingQueueConfig[string]{},
	)
	defer c.queue.ShutDown()
	defer context.AfterFunc(ctx, c.queue.ShutDown)()
	synced, stopWatching, err := c.watch()
	if err != nil {
		return err
	}
	defer stopWatching()

	select {
	case <-synced: // before, nothing can be said about any backend
	case <-ctx.Done():
		return nil
	}
	slots := NewSlots(c.settings.Workers, c.settings.SlowAfter)
	var checks sync.WaitGroup
	defer checks.Wait()
	for {
		name, shutdown := c.queue.Get()
		if shutdown {
			return nil
		}
		leave, ok := slots.Enter(ctx)
		if !ok {
			c.queue.Done(name)
			continue
		}
		checks.Go(func() {
			defer leave()
			defer c.queue.Done(name)
			c.check(ctx, name)
		})
	}
}

// Services returns what is known about the remote APIServices that were checked at least once, sorted by name. It is what this
// process found, also if the status could not be written.
func (c *Controller) Services() []Service { return c.view.list() }
