package backend

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
)

// errRedirect says that a backend answered with a redirect. Following it, or passing it on to a client that does, would
// carry the request and its credentials elsewhere (CVE-2022-3172).
var errRedirect = errors.New("the backend attempted to redirect this request, which is not permitted")

// respond answers with a Status. It always is JSON, which every client of an API server reads.
func respond(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	responsewriters.WriteRawJSON(code, &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure,
		Reason:   reason,
		Message:  message,
		Code:     int32(code), //nolint:gosec // An HTTP status code fits.
	}, w)
}

// respondError answers a request that failed on the way. What the client reads does not tell where the backend is.
func respondError(w http.ResponseWriter, r *http.Request, name string, err error) {
	switch {
	case errors.Is(err, errRedirect):
		respond(w, http.StatusBadGateway, "BadGateway", errRedirect.Error())
	case errors.Is(r.Context().Err(), context.DeadlineExceeded):
		respond(w, http.StatusGatewayTimeout, metav1.StatusReasonTimeout, fmt.Sprintf("API service %q did not answer in time", name))
	default:
		respondUnavailable(w, name)
	}
}

func respondUnavailable(w http.ResponseWriter, name string) {
	respond(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable,
		fmt.Sprintf("service unavailable: API service %q can't be reached", name))
}
