package reviews

import (
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
)

// selection is the decoded query of a list or watch.
type selection struct {
	options metav1.ListOptions
	labels  labels.Selector
	fields  fields.Selector
}

func (h *Handler) serveCollection(w http.ResponseWriter, r *http.Request, info *apirequest.RequestInfo, c collection) {
	resource := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	namespace := info.Namespace
	switch info.Verb {
	case "get":
		obj, ok := c.get(namespace, info.Name)
		if !ok {
			h.fail(w, r, apierrors.NewNotFound(resource, info.Name))
			return
		}
		h.write(w, r, c.kind.GroupVersion(), http.StatusOK, obj)
	case "list":
		s, err := selectionOf(r)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		list, err := c.list(c.selectItems(namespace, s.labels, s.fields))
		if err != nil {
			h.fail(w, r, apierrors.NewInternalError(err))
			return
		}
		h.write(w, r, c.kind.GroupVersion(), http.StatusOK, list)
	case "watch":
		s, err := selectionOf(r)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		h.watch(w, r, c, namespace, s)
	default:
		h.fail(w, r, apierrors.NewMethodNotSupported(resource, info.Verb))
	}
}

func selectionOf(r *http.Request) (selection, error) {
	var s selection
	if err := clientscheme.ParameterCodec.DecodeParameters(r.URL.Query(), schema.GroupVersion{Version: "v1"}, &s.options); err != nil {
		return s, apierrors.NewBadRequest(err.Error())
	}
	var labelErr, fieldErr error
	s.labels, labelErr = labels.Parse(s.options.LabelSelector)
	s.fields, fieldErr = fields.ParseSelector(s.options.FieldSelector)
	if err := errors.Join(labelErr, fieldErr); err != nil {
		return s, apierrors.NewBadRequest(fmt.Sprintf("parsing selectors: %v", err))
	}
	return s, nil
}
