package kube

import (
	"fmt"
	"net"
	"net/http"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/openapi"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/server/filters"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/client-go/util/connrotation"
	apiregistrationinstall "k8s.io/kube-aggregator/pkg/apis/apiregistration/install"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/apiserver"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service"
	servicev1alpha1 "github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
	generatedopenapi "github.com/detectviz/switchyard/modules/aggregator/kube/generated/openapi"
	"github.com/detectviz/switchyard/modules/aggregator/kube/pki"
)

// newScheme returns a scheme with the local groups and what every API needs.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	apiregistrationinstall.Install(scheme)
	if err := service.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("scheme: %w", err)
	}
	// Options of requests and answers without a group.
	v1 := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(scheme, v1)
	scheme.AddUnversionedTypes(v1,
		&metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
	return scheme, nil
}

// newConfig describes the API server by hand. The usual options assume a Kubernetes cluster, and end the process on errors.
func newConfig(s Settings, scheme *runtime.Scheme, ln *listener, m *pki.Material, who *identities, store *storage, d *drainer, loopback *connrotation.Dialer) (*genericapiserver.RecommendedConfig, error) {
	codecs := serializer.NewCodecFactory(scheme)
	config := genericapiserver.NewRecommendedConfig(codecs)
	config.EffectiveVersion = namedVersion{compatibility.DefaultBuildEffectiveVersion()}
	config.MergedResourceConfig = apiserver.DefaultAPIResourceConfigSource()
	config.RequestTimeout = s.Timeouts.Request
	config.LongRunningFunc = d.longRunning
	config.EnableProfiling = false
	// The check of klog's flushing that upstream adds would leave a goroutine in the process for ever.
	alive := []healthz.HealthChecker{healthz.PingHealthz}
	config.HealthzChecks, config.LivezChecks, config.ReadyzChecks = alive, alive, alive
	config.EnableDiscovery = false // ours merges the registered groups
	config.BuildHandlerChainFunc = func(api http.Handler, c *genericapiserver.Config) http.Handler {
		return d.guard(genericapiserver.DefaultBuildHandlerChain(d.wrap(api), c))
	}
	d.grace, d.disconnect = s.Timeouts.Shutdown, ln.disconnect

	names := openapi.NewDefinitionNamer(scheme)
	config.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(generatedopenapi.GetOpenAPIDefinitions, names)
	config.OpenAPIConfig.Info.Title = "Switchyard aggregator"
	config.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(generatedopenapi.GetOpenAPIDefinitions, names)
	config.OpenAPIV3Config.Info.Title = "Switchyard aggregator"
	config.SkipOpenAPIInstallation = true // ours merges the registered groups

	if err := serve(config, ln, m, loopback); err != nil {
		return nil, err
	}
	if err := who.applyTo(&config.Config); err != nil {
		return nil, err
	}
	config.Authorization.Authorizer = policy{}

	etcd := options.NewEtcdOptions(storagebackend.NewDefaultConfig(s.Store.Prefix,
		codecs.LegacyCodec(apiregistration.SchemeGroupVersion, servicev1alpha1.SchemeGroupVersion)))
	etcd.StorageConfig.Transport = store.transport
	if store.embedded != nil {
		etcd.SkipHealthEndpoints = true // the embedded store knows its health, without clients of its own
		config.AddHealthzChecks(healthz.NamedCheck("store", store.check))
		config.AddReadyzChecks(healthz.NamedCheck("store", store.check))
	}
	if err := etcd.ApplyTo(&config.Config); err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	return config, nil
}

// serve describes the TLS port and the way in which the server is its own client.
func serve(config *genericapiserver.RecommendedConfig, ln *listener, m *pki.Material, loopback *connrotation.Dialer) error {
	certificate, err := dynamiccertificates.NewStaticCertKeyContent("serving", m.Serving.CertPEM, m.Serving.KeyPEM)
	if err != nil {
		return fmt.Errorf("serving certificate %q: %w", m.Serving.CertFile, err)
	}
	own, err := dynamiccertificates.NewStaticSNICertKeyContent("loopback", m.Loopback.CertPEM, m.Loopback.KeyPEM, genericapiserver.LoopbackClientServerNameOverride)
	if err != nil {
		return fmt.Errorf("loopback certificate %q: %w", m.Loopback.CertFile, err)
	}
	config.SecureServing = &genericapiserver.SecureServingInfo{
		Listener: ln,
		Cert:     certificate,
		SNICerts: []dynamiccertificates.SNICertKeyContentProvider{own},
	}
	config.LoopbackClientConfig, err = config.SecureServing.NewLoopbackClientConfig(uuid.NewString(), m.CAPEM)
	if err != nil {
		return fmt.Errorf("loopback client: %w", err)
	}
	config.LoopbackClientConfig.Dial = loopback.DialContext
	config.ExternalAddress = dialableAddress(ln.Addr())
	return nil
}

// dialableAddress returns the address with loopback for an unspecified host: what a client on this machine can dial.
func dialableAddress(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	host := net.IPv6loopback
	if tcp.IP.To4() != nil {
		host = net.IPv4(127, 0, 0, 1)
	}
	return (&net.TCPAddr{IP: host, Port: tcp.Port}).String()
}

// longRunning tells requests that last from those that get a deadline.
func longRunning() apirequest.LongRunningRequestCheck {
	basic := filters.BasicLongRunningRequestCheck(
		sets.NewString("watch", "proxy"),
		sets.NewString("attach", "exec", "proxy", "log", "portforward"),
	)
	return func(r *http.Request, info *apirequest.RequestInfo) bool { return isUpgrade(r) || basic(r, info) }
}
