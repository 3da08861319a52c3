package reviews

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
)

// Config is what a Handler answers from. Every field is required.
type Config struct {
	// Tokens authenticates the bearer token of a TokenReview.
	Tokens authenticator.Token
	// Authorizer decides access reviews. It should be the one that guards the aggregator itself.
	Authorizer authorizer.Authorizer
	// FrontProxy is published in the ConfigMap that backends read.
	FrontProxy FrontProxy
	// Done ends open watches when it closes.
	Done <-chan struct{}
}

// Handler serves reviews and the read-only collections. It is safe for concurrent use, starts no goroutine, and keeps a
// request open only for a watch, which ends with its request's context, its timeout or Config.Done.
type Handler struct {
	config      Config
	codecs      serializer.CodecFactory
	posts       map[schema.GroupResource]func(context.Context, *http.Request) (runtime.Object, error)
	collections map[schema.GroupVersionResource]collection
}

var _ http.Handler = (*Handler)(nil)

// NewHandler checks the configuration and returns a Handler that is ready to serve.
func NewHandler(config Config) (*Handler, error) {
	var problems []error
	if config.Tokens == nil {
		problems = append(problems, errors.New("a token authenticator is required"))
	}
	if config.Authorizer == nil {
		problems = append(problems, errors.New("an authorizer is required"))
	}
	if config.Done == nil {
		problems = append(problems, errors.New("a done channel is required"))
	}
	frontProxy, err := config.FrontProxy.configMap()
	if err != nil {
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("reviews: %w", err)
	}
	h := &Handler{
		config:      config,
		codecs:      clientscheme.Codecs,
		collections: newCollections(frontProxy),
	}
	h.posts = map[schema.GroupResource]func(context.Context, *http.Request) (runtime.Object, error){
		{Group: "authentication.k8s.io", Resource: "tokenreviews"}:             h.tokenReview,
		{Group: "authentication.k8s.io", Resource: "selfsubjectreviews"}:       h.selfSubjectReview,
		{Group: "authorization.k8s.io", Resource: "subjectaccessreviews"}:      h.subjectAccessReview,
		{Group: "authorization.k8s.io", Resource: "selfsubjectaccessreviews"}:  h.selfSubjectAccessReview,
		{Group: "authorization.k8s.io", Resource: "localsubjectaccessreviews"}: h.localSubjectAccessReview,
		{Group: "authorization.k8s.io", Resource: "selfsubjectrulesreviews"}:   h.selfSubjectRulesReview,
	}
	return h, nil
}

// ServeHTTP answers what Handler knows and a 404 Status for the rest.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	info, ok := apirequest.RequestInfoFrom(r.Context())
	if !ok || !info.IsResourceRequest || info.Subresource != "" {
		h.fail(w, r, notFound(r))
		return
	}
	gvr := schema.GroupVersionResource{Group: info.APIGroup, Version: info.APIVersion, Resource: info.Resource}
	if review, ok := h.posts[gvr.GroupResource()]; ok && gvr.Version == "v1" {
		if info.Verb != "create" {
			h.fail(w, r, apierrors.NewMethodNotSupported(gvr.GroupResource(), info.Verb))
			return
		}
		answer, err := review(r.Context(), r)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		h.write(w, r, gvr.GroupVersion(), http.StatusCreated, answer)
		return
	}
	if c, ok := h.collections[gvr]; ok {
		h.serveCollection(w, r, info, c)
		return
	}
	h.fail(w, r, notFound(r))
}

func (h *Handler) write(w http.ResponseWriter, r *http.Request, gv schema.GroupVersion, code int, obj runtime.Object) {
	responsewriters.WriteObjectNegotiated(h.codecs, plainObjects{}, gv, w, r, code, obj, false)
}

func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	responsewriters.ErrorNegotiated(err, h.codecs, schema.GroupVersion{Version: "v1"}, w, r)
}

func notFound(r *http.Request) error {
	return apierrors.NewGenericServerResponse(http.StatusNotFound, r.Method, schema.GroupResource{}, "", "", 0, false)
}

// plainObjects accepts any encoding that the codecs know, and no conversion to Table or partial metadata.
type plainObjects struct{}

func (plainObjects) AllowsMediaTypeTransform(_, _ string, target *schema.GroupVersionKind) bool {
	return target == nil
}
func (plainObjects) AllowsServerVersion(string) bool  { return false }
func (plainObjects) AllowsStreamSchema(s string) bool { return s == "watch" }
