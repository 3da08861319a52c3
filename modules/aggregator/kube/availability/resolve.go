package availability

import (
	"errors"
	"fmt"

	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
)

// resolve finds the endpoint of an APIService. Without one there is a verdict or an error.
func (c *Controller) resolve(service *apiregistration.APIService) (backend.Endpoint, *verdict, error) {
	at, err := c.Resolver.Resolve(service.Spec.Service.Namespace, service.Spec.Service.Name, backend.Port(service))
	if missing, ok := errors.AsType[*backend.NotFoundError](err); ok {
		return at, &verdict{
			reason:  "ServiceNotFound",
			message: fmt.Sprintf("externalname/%s in %q is not present", missing.Name, missing.Namespace),
			waits:   true,
		}, nil
	}
	return at, nil, err
}
