package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/util/connrotation"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/apiserver"
	"k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	informers "k8s.io/kube-aggregator/pkg/client/informers/externalversions"
	listers "k8s.io/kube-aggregator/pkg/client/listers/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/controllers/autoregister"
	localavailability "k8s.io/kube-aggregator/pkg/controllers/status/local"
	availabilitymetrics "k8s.io/kube-aggregator/pkg/controllers/status/metrics"
	apiservicerest "k8s.io/kube-aggregator/pkg/registry/apiservice/rest"

	"github.com/detectviz/switchyard/modules/aggregator/kube/pki"
	"github.com/detectviz/switchyard/modules/aggregator/kube/registry/externalname"
	"github.com/detectviz/switchyard/modules/aggregator/kube/reviews"
)

// resyncPeriod is how often the controllers upstream look at every APIService again although nothing changed.
const resyncPeriod = 5 * time.Minute

// discoveryGrace is how long the start waits for the resources of backends that are registered already.
const discoveryGrace = 200 * time.Millisecond

// flushTime is how long connections get, after their last request ended, to carry the end of the answer.
const flushTime = 50 * time.Millisecond

// api is the assembled API server: its handler, and the controllers around it.
type api struct {
	settings Settings
	fail     func(error)
	port     *listener
	loopback *connrotation.Dialer
	drainer  *drainer

	generic   *genericapiserver.GenericAPIServer
	services  listers.APIServiceLister
	informers informers.SharedInformerFactory
	backends  *backends
	router    *router
	openAPI   *openAPI

	controllers *background
	cancel      context.CancelFunc // ends the serving; nil before run
	stopped     chan struct{}      // closed when it has ended
}

// newAPI assembles an API server that does not serve yet. It may panic: the libraries do.
func newAPI(s Settings, log *slog.Logger, fail func(error), port *listener, m *pki.Material, store *storage) (_ *api, err error) {
	a := &api{
		settings:    s,
		fail:        fail,
		port:        port,
		loopback:    newLoopbackDialer(),
		drainer:     newDrainer(longRunning()),
		controllers: newBackground(fail),
	}
	who, err := newIdentities(m)
	if err != nil {
		return nil, err
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	config, err := newConfig(s, scheme, port, m, who, store, a.drainer, a.loopback)
	if err != nil {
		return nil, err
	}
	review, err := reviews.NewHandler(reviews.Config{
		Tokens: who.tokens, Authorizer: policy{}, FrontProxy: who.frontProxy(), Done: a.drainer.stop.Done(),
	})
	if err != nil {
		return nil, err
	}
	completed := config.Complete()
	completed.EnableDiscovery = false
	if a.generic, err = completed.New("kube-aggregator", genericapiserver.NewEmptyDelegateWithCustomHandler(review)); err != nil {
		return nil, fmt.Errorf("API server: %w", err)
	}
	var groups []*genericapiserver.APIGroupInfo
	defer func() {
		if err != nil {
			a.generic.Destroy()
			destroy(groups) // those that were not installed
		}
	}()
	a.generic.ShutdownTimeout = s.Timeouts.Shutdown

	registrations := apiservicerest.NewRESTStorage(config.MergedResourceConfig, config.RESTOptionsGetter, false)
	registrations.PrioritizedVersions = []schema.GroupVersion{apiregistration.SchemeGroupVersion} // v1beta1 is not served
	groups = append(groups, &registrations)
	names, err := externalname.NewAPIGroupInfo(scheme, serializer.NewCodecFactory(scheme), config.RESTOptionsGetter)
	if err != nil {
		return nil, fmt.Errorf("storage of ExternalNames: %w", err)
	}
	groups = append(groups, names)
	if err := a.generic.InstallAPIGroups(groups...); err != nil {
		return nil, fmt.Errorf("local groups: %w", err)
	}
	if a.openAPI, err = newOpenAPI(a.generic, config); err != nil {
		return nil, err
	}
	if err := a.aggregate(log, config, m, review); err != nil {
		return nil, err
	}
	return a, nil
}

// destroy closes the storage of groups. Closing it twice does nothing.
func destroy(groups []*genericapiserver.APIGroupInfo) {
	for _, group := range groups {
		for _, resources := range group.VersionedResourcesStorageMap {
			for _, resource := range resources {
				resource.Destroy()
			}
		}
	}
}

// aggregate adds what makes an API server an aggregator.
func (a *api) aggregate(log *slog.Logger, config *genericapiserver.RecommendedConfig, m *pki.Material, next *reviews.Handler) error {
	client, err := clientset.NewForConfig(config.LoopbackClientConfig)
	if err != nil {
		return fmt.Errorf("loopback client: %w", err)
	}
	a.informers = informers.NewSharedInformerFactory(client, resyncPeriod)
	registered := a.informers.Apiregistration().V1().APIServices()
	a.services = registered.Lister()
	if a.backends, err = newBackends(a.settings, log, a.fail, config.LoopbackClientConfig, m, client, registered); err != nil {
		return err
	}
	synced := make(chan struct{})
	if err := a.generic.RegisterMuxAndDiscoveryCompleteSignal("APIServicesRegistered", synced); err != nil {
		return err
	}
	resources := newRemoteDiscovery(a.generic.AggregatedDiscoveryGroupManager, a.settings.Timeouts.Description, log, a.controllers)
	a.router = &router{
		discovery: classicDiscovery{a.services},
		next:      next,
		newProxy:  a.backends.newProxy,
		synced:    synced,
		bounded:   boundedBy(a.controllers.ctx, a.settings.Timeouts.Description),
		resources: resources,
	}
	a.router.describe = []*describer{
		newDescriber(a.openAPI.v2, a.services, a.router.route, a.settings.Timeouts.Description, a.controllers),
		newDescriber(a.openAPI.v3, a.services, a.router.route, a.settings.Timeouts.Description, a.controllers),
	}
	mux := a.generic.Handler.NonGoRestfulMux
	mux.Handle("/apis", aggregated.WrapAggregatedDiscoveryToHandler(
		classicGroups{a.router.discovery}, a.generic.AggregatedDiscoveryGroupManager, nil))
	mux.UnlistedHandlePrefix("/apis/", a.router)

	registration := apiserver.NewAPIServiceRegistrationController(registered, a.router)
	local, err := localavailability.New(registered, client.ApiregistrationV1(), availabilitymetrics.New())
	if err != nil {
		return fmt.Errorf("availability of local groups: %w", err)
	}
	own := autoregister.NewAutoRegisterController(registered, client.ApiregistrationV1())
	for _, service := range localServices() {
		own.AddAPIServiceToSync(service)
	}
	if err := a.generic.AddReadyzChecks(localReady{a.services}); err != nil {
		return err
	}
	return errors.Join(
		a.hook("apiservice-informers", func(ctx context.Context) {
			a.informers.Start(a.controllers.ctx.Done())
			a.backends.start(a.controllers)
			waitFor(ctx, a.backends.synced())
		}),
		a.hook("apiservice-registration", func(ctx context.Context) {
			a.controllers.run("registration", func(ctx context.Context) { registration.Run(ctx.Done(), synced) })
			a.controllers.run("local registration", func(ctx context.Context) { own.Run(1, ctx.Done()) })
			a.controllers.run("local availability", func(ctx context.Context) { local.Run(1, ctx.Done()) })
			waitFor(ctx, synced)
		}),
		a.hook("apiservice-discovery", func(ctx context.Context) {
			if !waitFor(ctx, synced) || !waitFor(ctx, a.backends.synced()) {
				return
			}
			// Backends that answer are in the first discovery document that a client sees; those that don't are not
			// waited for.
			brief, cancel := context.WithTimeout(ctx, discoveryGrace)
			defer cancel()
			resources.run(brief)
		}),
		a.hook("apiservice-openapi", func(context.Context) {
			a.controllers.run("OpenAPI v2", a.openAPI.v2.RunWithContext)
			a.controllers.run("OpenAPI v3", a.openAPI.v3.RunWithContext)
			for _, d := range a.router.describe {
				a.controllers.run("OpenAPI registration", d.run)
			}
		}),
	)
}

// hook runs fn once the port is served; the server is ready when all hooks have returned. A hook has no error: upstream
// ends the process for one.
func (a *api) hook(name string, fn func(ctx context.Context)) error {
	return a.generic.AddPostStartHook(name, func(ctx genericapiserver.PostStartHookContext) error {
		fn(ctx)
		return nil
	})
}

// waitFor waits until c is closed, and reports false if ctx ends first.
func waitFor(ctx context.Context, c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}
