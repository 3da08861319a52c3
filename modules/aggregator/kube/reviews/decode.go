package reviews

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
)

// maxReviewBytes bounds the body of a review. Identities with many groups stay far below it.
const maxReviewBytes = 1 << 20

// decode reads the request's body, in JSON, YAML or protobuf, into obj. Its errors are client errors.
func (h *Handler) decode(r *http.Request, obj runtime.Object) error {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxReviewBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("a review may have %d bytes", maxReviewBytes))
	case err != nil:
		return apierrors.NewBadRequest(fmt.Sprintf("reading the body: %v", err))
	}
	kinds, _, err := clientscheme.Scheme.ObjectKinds(obj)
	if err != nil {
		return err
	}
	decoded, got, err := h.codecs.UniversalDeserializer().Decode(body, &kinds[0], obj)
	if err != nil {
		return apierrors.NewBadRequest(fmt.Sprintf("decoding the body: %v", err))
	}
	if decoded != obj {
		return apierrors.NewBadRequest(fmt.Sprintf("the body is a %s, want a %s", got, kinds[0]))
	}
	return nil
}
