package backend

import (
	"fmt"
	"net"
	"strconv"

	"k8s.io/client-go/tools/cache"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
)

// Endpoint is where a backend is, and which name its certificate must carry.
type Endpoint struct {
	Addr       string // host:port; the host may be a DNS name
	ServerName string // a DNS name or an IP address
}

// Resolver finds the endpoint that an APIService refers to, in memory. It is safe for concurrent use and does not block.
type Resolver struct {
	names  cache.KeyGetter
	synced func() bool
}

// NewResolver returns a Resolver over ExternalNames that are stored by "namespace/name", as the store of Informer does. synced
// reports whether all of them are there.
func NewResolver(names cache.KeyGetter, synced func() bool) *Resolver {
	return &Resolver{names: names, synced: synced}
}

// Resolve returns the endpoint for a port of the ExternalName. It returns a *NotFoundError if there is no such ExternalName,
// and ErrNotSynced if there might be one.
func (r *Resolver) Resolve(namespace, name string, port int32) (Endpoint, error) {
	e, err := r.find(namespace, name, namespace+"/"+name)
	if err != nil {
		return Endpoint{}, err
	}
	return endpointOf(e, port), nil
}

func (r *Resolver) find(namespace, name, key string) (*v1alpha1.ExternalName, error) {
	found, ok, err := r.names.GetByKey(key)
	if err != nil {
		return nil, fmt.Errorf("externalname %q in namespace %q: %w", name, namespace, err)
	}
	if !ok {
		if !r.synced() {
			return nil, ErrNotSynced
		}
		return nil, &NotFoundError{Namespace: namespace, Name: name}
	}
	e, ok := found.(*v1alpha1.ExternalName)
	if !ok {
		return nil, fmt.Errorf("externalname %q in namespace %q: stored as %T", name, namespace, found)
	}
	return e, nil
}

func endpointOf(e *v1alpha1.ExternalName, port int32) Endpoint {
	return Endpoint{
		Addr:       net.JoinHostPort(e.Spec.Host, strconv.Itoa(int(port))),
		ServerName: e.VerifiedName(),
	}
}
