package backend

import (
	"bytes"

	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration/v1/helper"
)

// service is what a proxy needs of an APIService. It does not change.
type service struct {
	name      string
	reference *reference // nil: served in this process
	available bool
}

// reference is which backend an APIService means. It stays the same value as long as nothing in it changes.
type reference struct {
	namespace, name, key string
	port                 int32
	caBundle             []byte
	insecure             bool
}

func newService(s *apiregistration.APIService, before *service) *service {
	next := &service{name: s.Name, available: helper.IsAPIServiceConditionTrue(s, apiregistration.Available)}
	if s.Spec.Service == nil {
		return next
	}
	next.reference = &reference{
		namespace: s.Spec.Service.Namespace,
		name:      s.Spec.Service.Name,
		key:       s.Spec.Service.Namespace + "/" + s.Spec.Service.Name,
		port:      Port(s),
		caBundle:  s.Spec.CABundle,
		insecure:  s.Spec.InsecureSkipTLSVerify,
	}
	if before != nil && before.reference != nil && before.reference.equal(next.reference) {
		next.reference = before.reference
	}
	return next
}

func (r *reference) equal(other *reference) bool {
	return r.key == other.key && r.port == other.port && r.insecure == other.insecure && bytes.Equal(r.caBundle, other.caBundle)
}

// Port returns the port of the backend of an APIService: 443 unless it says another.
func Port(s *apiregistration.APIService) int32 {
	if s.Spec.Service == nil || s.Spec.Service.Port == nil {
		return 443
	}
	return *s.Spec.Service.Port
}
