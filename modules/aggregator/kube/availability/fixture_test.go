package availability_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
	source "k8s.io/client-go/tools/cache/testing"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration/v1/helper"
	client "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/typed/apiregistration/v1"
	listers "k8s.io/kube-aggregator/pkg/client/listers/apiregistration/v1"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
	"github.com/detectviz/switchyard/modules/aggregator/kube/availability"
	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
	"github.com/detectviz/switchyard/modules/aggregator/kube/backend/backendtest"
)

// lists is a source of events that offers plain lists and watches.
type lists struct{ *source.FakeControllerSource }

func (lists) IsWatchListSemanticsUnSupported() bool { return true }

// registry keeps APIServices, and takes writes of their status with the check of versions that an API server makes.
type registry struct {
	client.APIServiceInterface
	source   *source.FakeControllerSource
	informer cache.SharedIndexInformer

	mu     sync.Mutex
	stored map[string]*apiregistration.APIService
	writes []apiregistration.APIServiceCondition
	refuse int // so many writes with a conflict
}

func newRegistry() *registry {
	r := &registry{source: source.NewFakeControllerSource(), stored: map[string]*apiregistration.APIService{}}
	r.informer = cache.NewSharedIndexInformer(lists{r.source}, &apiregistration.APIService{}, 0, cache.Indexers{})
	return r
}

func (r *registry) Informer() cache.SharedIndexInformer { return r.informer }
func (r *registry) Lister() listers.APIServiceLister {
	return listers.NewAPIServiceLister(r.informer.GetIndexer())
}
func (r *registry) APIServices() client.APIServiceInterface { return r }

func (r *registry) put(s *apiregistration.APIService) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.stored[s.Name]
	s = s.DeepCopy()
	r.stored[s.Name] = s
	if known {
		r.source.Modify(s.DeepCopy())
	} else {
		r.source.Add(s.DeepCopy())
	}
}

func (r *registry) remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.source.Delete(r.stored[name].DeepCopy())
	delete(r.stored, name)
}

// UpdateStatus stores a status unless the writer has an old version of the object.
func (r *registry) UpdateStatus(_ context.Context, s *apiregistration.APIService, _ metav1.UpdateOptions) (*apiregistration.APIService, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	stored, ok := r.stored[s.Name]
	resource := schema.GroupResource{Group: apiregistration.GroupName, Resource: "apiservices"}
	if !ok {
		return nil, apierrors.NewNotFound(resource, s.Name)
	}
	if r.refuse > 0 || s.Annotations["generation"] != stored.Annotations["generation"] {
		r.refuse--
		return nil, apierrors.NewConflict(resource, s.Name, nil)
	}
	stored.Status = *s.Status.DeepCopy()
	r.writes = append(r.writes, *helper.GetAPIServiceConditionByType(stored, apiregistration.Available))
	r.source.Modify(stored.DeepCopy())
	return stored.DeepCopy(), nil
}

func (r *registry) written() []apiregistration.APIServiceCondition {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.writes)
}

// fixture is a controller with all that it needs, and backends to check.
type fixture struct {
	serving, frontProxy *backendtest.Authority
	dialer              *backend.Dialer
	registry            *registry
	names               *source.FakeControllerSource
	controller          *availability.Controller
	stop                func()
}

// start runs a controller until the test ends, or stop is called.
func start(t *testing.T, settings availability.Settings, prepare ...func(*fixture)) *fixture {
	t.Helper()
	f := &fixture{
		serving:    backendtest.NewAuthority(t, "serving"),
		frontProxy: backendtest.NewAuthority(t, "front-proxy"),
		registry:   newRegistry(),
		names:      source.NewFakeControllerSource(),
	}
	f.dialer = backend.NewDialer(backend.DialSettings{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}})
	certFile, keyFile := f.frontProxy.Files(t, t.TempDir(), "front-proxy-client")
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	transports, err := backend.NewTransports(f.dialer, backend.TransportSettings{CertFile: certFile, KeyFile: keyFile}, log)
	if err != nil {
		t.Fatal(err)
	}
	names := cache.NewSharedIndexInformer(lists{f.names}, &v1alpha1.ExternalName{}, 0, cache.Indexers{})
	f.controller, err = availability.New(availability.Parts{
		APIServices: f.registry, ExternalNames: names, Client: f.registry,
		Resolver: backend.NewResolver(names.GetStore(), names.HasSynced), Transports: transports, Log: log,
	}, settings)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range prepare {
		p(f)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f.registry.informer.RunWithContext(ctx) })
	running.Go(func() { names.RunWithContext(ctx) })
	running.Go(func() {
		if err := f.controller.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	f.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		f.registry.source.Shutdown()
		f.names.Shutdown()
		transports.Close()
		if open := f.dialer.Open(); open != 0 {
			t.Errorf("%d connections are open after the end", open)
		}
	})
	t.Cleanup(f.stop)
	return f
}

func externalName(name, host, tlsServerName string) *v1alpha1.ExternalName {
	return &v1alpha1.ExternalName{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       v1alpha1.ExternalNameSpec{Host: host, TLSServerName: tlsServerName},
	}
}

// serve starts a backend whose certificate is for wardle.example.com.
func (f *fixture) serve(t *testing.T, handler http.HandlerFunc) *backendtest.Backend {
	t.Helper()
	return backendtest.Serve(t, backendtest.Options{
		Serving: f.serving, FrontProxy: f.frontProxy, Names: []string{"wardle.example.com"},
	}, handler)
}

// register registers v1.<group> with the backend default/wardle on the port.
func (f *fixture) register(group string, port int32) *apiregistration.APIService {
	s := backendtest.APIService(group, "v1", "wardle", port, f.serving.PEM)
	s.Status.Conditions = nil
	f.registry.put(s)
	return s
}

// state returns what the controller found out about v1.<group>.
func (f *fixture) state(group string) (availability.Service, bool) {
	for _, s := range f.controller.Services() {
		if s.Name == "v1."+group {
			return s, true
		}
	}
	return availability.Service{}, false
}

// await waits for a reason and returns the state with it.
func (f *fixture) await(t *testing.T, group, reason string) availability.Service {
	t.Helper()
	var last availability.Service
	eventually(t, "reason "+reason+" of "+group, func() bool {
		s, _ := f.state(group)
		last = s
		return s.Reason == reason
	})
	return last
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := wait.PollUntilContextCancel(ctx, 2*time.Millisecond, true, func(context.Context) (bool, error) {
		return condition(), nil
	}); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"kind":"APIResourceList"}`)) }
