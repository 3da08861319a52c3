package kube

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	informers "k8s.io/kube-aggregator/pkg/client/informers/externalversions/apiregistration/v1"

	"github.com/detectviz/switchyard/modules/aggregator/kube/availability"
	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
	"github.com/detectviz/switchyard/modules/aggregator/kube/pki"
)

// backends is all that reaches the API servers behind us: their names, the connections to them, and the controller that
// checks them.
type backends struct {
	names      cache.SharedIndexInformer
	transports *backend.Transports
	proxies    backend.ProxySettings
	checks     *availability.Controller
	fail       func(error)
}

func newBackends(s Settings, log *slog.Logger, fail func(error), loopback *rest.Config, m *pki.Material, client clientset.Interface, services informers.APIServiceInformer) (*backends, error) {
	allow, err := parseNetworks(s.Backends.AllowCIDRs)
	if err != nil {
		return nil, err
	}
	names, err := backend.NewInformer(loopback)
	if err != nil {
		return nil, err
	}
	transports, err := backend.NewTransports(backend.NewDialer(backend.DialSettings{Allow: allow}), backend.TransportSettings{
		CertFile: m.FrontProxyClient.CertFile,
		KeyFile:  m.FrontProxyClient.KeyFile,
	}, log)
	if err != nil {
		return nil, err
	}
	resolver := backend.NewResolver(names.GetStore(), names.HasSynced)
	checks, err := availability.New(availability.Parts{
		APIServices:   services,
		ExternalNames: names,
		Client:        client.ApiregistrationV1(),
		Resolver:      resolver,
		Transports:    transports,
		Log:           log,
	}, availability.Settings{Timeout: s.Timeouts.Probe})
	if err != nil {
		transports.Close()
		return nil, err
	}
	return &backends{
		names:      names,
		transports: transports,
		proxies: backend.ProxySettings{
			Resolver: resolver, Transports: transports, Log: log, DiscoveryTimeout: s.Timeouts.Description,
		},
		checks: checks,
		fail:   fail,
	}, nil
}

func (b *backends) newProxy(service *apiregistration.APIService) *backend.Proxy {
	return backend.NewProxy(b.proxies, service)
}

// start runs the informer and the checks in the background.
func (b *backends) start(in *background) {
	in.run("ExternalNames", b.names.RunWithContext)
	in.run("availability", func(ctx context.Context) {
		if err := b.checks.Run(ctx); err != nil && ctx.Err() == nil {
			b.fail(fmt.Errorf("availability of backends: %w", err))
		}
	})
}

// synced is closed once all ExternalNames are known.
func (b *backends) synced() <-chan struct{} { return b.names.HasSyncedChecker().Done() }

// verdicts returns what the checks found, by the name of the APIService.
func (b *backends) verdicts() map[string]availability.Service {
	found := map[string]availability.Service{}
	for _, v := range b.checks.Services() {
		found[v.Name] = v
	}
	return found
}

// close ends all connections to backends.
func (b *backends) close() { b.transports.Close() }

// parseNetworks parses validated settings.
func parseNetworks(cidrs []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for i, cidr := range cidrs {
		network, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("aggregator.backends.allowCIDRs[%d]: %w", i, err)
		}
		networks = append(networks, network)
	}
	return networks, nil
}
