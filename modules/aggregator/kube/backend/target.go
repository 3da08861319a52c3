package backend

import (
	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
)

// target is where requests go, and what it was found from: as long as that is the same, so is the target.
type target struct {
	reference *reference
	object    *v1alpha1.ExternalName // as stored: an update stores another
	endpoint  Endpoint
	transport *Transport
}

// find returns the target for the reference. It takes a lock only when something has changed.
func (p *Proxy) find(to *reference) (*target, error) {
	if to == nil {
		return nil, ErrNoBackend
	}
	object, err := p.resolver.find(to.namespace, to.name, to.key)
	if err != nil {
		return nil, err
	}
	current := p.target.Load()
	if current != nil && current.reference == to && current.object == object && !p.transports.stale(current.transport) {
		return current, nil
	}
	return p.retarget(to, object)
}

func (p *Proxy) retarget(to *reference, object *v1alpha1.ExternalName) (*target, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	current := p.target.Load()
	if current != nil && current.reference == to && current.object == object && !p.transports.stale(current.transport) {
		return current, nil // somebody else was faster
	}
	at := endpointOf(object, to.port)
	transport, err := p.transports.Acquire(Identity{ServerName: at.ServerName, CABundle: to.caBundle, Insecure: to.insecure})
	if err != nil {
		return nil, err
	}
	next := &target{reference: to, object: object, endpoint: at, transport: transport}
	p.target.Store(next)
	if current != nil {
		current.transport.Release()
	}
	return next, nil
}
