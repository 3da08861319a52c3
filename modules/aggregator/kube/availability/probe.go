package availability

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"k8s.io/client-go/transport"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
)

// Who we are when we ask a backend for ourselves, as in kube-aggregator. Backends let it read their discovery.
const (
	probeUser  = "system:kube-aggregator"
	probeGroup = "system:masters"
)

// maxDrain is how much of an answer is read, so that its connection can be used again.
const maxDrain = 1 << 20

// probe asks a backend for the description of the group and version. Redirects are not followed; only 2xx is good.
func (c *Controller) probe(ctx context.Context, service *apiregistration.APIService, at backend.Endpoint) (verdict, error) {
	connections, err := c.Transports.Acquire(backend.IdentityOf(service, at))
	if bundle, ok := errors.AsType[*backend.CABundleError](err); ok {
		return verdict{reason: "InvalidCABundle", message: bundle.Error(), waits: true}, nil
	}
	if err != nil {
		return verdict{}, err
	}
	defer connections.Release()

	ctx, cancel := context.WithTimeout(ctx, c.settings.Timeout)
	defer cancel()
	url := "https://" + at.Addr + "/apis/" + service.Spec.Group + "/" + service.Spec.Version
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return verdict{reason: "ResolveFailed", message: err.Error(), waits: true}, nil
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "switchyard-aggregator")
	transport.SetAuthProxyHeaders(request, probeUser, "", []string{probeGroup}, nil)
	response, err := connections.RoundTrip(request)
	if err != nil {
		connections.CloseIdleConnections() // the next check shall not meet the same broken connection
		return failed(url, err, c.settings.Timeout), nil
	}
	_, _ = io.CopyN(io.Discard, response.Body, maxDrain)
	_ = response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return verdict{reason: "FailedDiscoveryCheck", message: fmt.Sprintf("GET %s: status %d, want 2xx", url, response.StatusCode)}, nil
	}
	return verdict{available: true, reason: "Passed", message: "all checks passed"}, nil
}
