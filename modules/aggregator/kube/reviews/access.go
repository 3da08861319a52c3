package reviews

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
)

func (h *Handler) subjectAccessReview(ctx context.Context, r *http.Request) (runtime.Object, error) {
	review := &authorizationv1.SubjectAccessReview{}
	if err := h.decode(r, review); err != nil {
		return nil, err
	}
	status, err := h.review(ctx, subject(review.Spec), review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes)
	review.Status = status
	return review, err
}

func (h *Handler) localSubjectAccessReview(ctx context.Context, r *http.Request) (runtime.Object, error) {
	review := &authorizationv1.LocalSubjectAccessReview{}
	if err := h.decode(r, review); err != nil {
		return nil, err
	}
	info, _ := apirequest.RequestInfoFrom(ctx)
	resource := review.Spec.ResourceAttributes
	if resource == nil || review.Spec.NonResourceAttributes != nil {
		return nil, apierrors.NewBadRequest("spec.resourceAttributes is required and spec.nonResourceAttributes is not allowed in a local review")
	}
	if resource.Namespace != info.Namespace {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("spec.resourceAttributes.namespace: %q: must be the namespace of the request, %q", resource.Namespace, info.Namespace))
	}
	status, err := h.review(ctx, subject(review.Spec), resource, nil)
	review.Status = status
	return review, err
}

func (h *Handler) selfSubjectAccessReview(ctx context.Context, r *http.Request) (runtime.Object, error) {
	review := &authorizationv1.SelfSubjectAccessReview{}
	if err := h.decode(r, review); err != nil {
		return nil, err
	}
	self, ok := apirequest.UserFrom(ctx)
	if !ok {
		return nil, apierrors.NewUnauthorized("the request carries no identity")
	}
	status, err := h.review(ctx, self, review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes)
	review.Status = status
	return review, err
}

// selfSubjectRulesReview lists what is certain: everything for the masters group, nothing for others, and says that the
// list is incomplete. The authorizer answers questions; it cannot enumerate rules.
func (h *Handler) selfSubjectRulesReview(ctx context.Context, r *http.Request) (runtime.Object, error) {
	review := &authorizationv1.SelfSubjectRulesReview{}
	if err := h.decode(r, review); err != nil {
		return nil, err
	}
	self, ok := apirequest.UserFrom(ctx)
	if !ok {
		return nil, apierrors.NewUnauthorized("the request carries no identity")
	}
	review.Status = authorizationv1.SubjectRulesReviewStatus{
		ResourceRules:    []authorizationv1.ResourceRule{},
		NonResourceRules: []authorizationv1.NonResourceRule{},
	}
	if slices.Contains(self.GetGroups(), user.SystemPrivilegedGroup) {
		all := []string{"*"}
		review.Status.ResourceRules = append(review.Status.ResourceRules, authorizationv1.ResourceRule{Verbs: all, APIGroups: all, Resources: all})
		review.Status.NonResourceRules = append(review.Status.NonResourceRules, authorizationv1.NonResourceRule{Verbs: all, NonResourceURLs: all})
		return review, nil
	}
	review.Status.Incomplete = true
	review.Status.EvaluationError = "the authorizer does not enumerate rules; ask about one action with a SelfSubjectAccessReview"
	return review, nil
}

func (h *Handler) review(ctx context.Context, who user.Info, resource *authorizationv1.ResourceAttributes, path *authorizationv1.NonResourceAttributes) (authorizationv1.SubjectAccessReviewStatus, error) {
	if (resource == nil) == (path == nil) {
		return authorizationv1.SubjectAccessReviewStatus{}, apierrors.NewBadRequest("exactly one of spec.resourceAttributes and spec.nonResourceAttributes is required")
	}
	if who.GetName() == "" && len(who.GetGroups()) == 0 {
		return authorizationv1.SubjectAccessReviewStatus{}, apierrors.NewBadRequest("at least one of spec.user and spec.groups is required")
	}
	decision, reason, err := h.config.Authorizer.Authorize(ctx, attributes(who, resource, path))
	status := authorizationv1.SubjectAccessReviewStatus{
		Allowed: decision == authorizer.DecisionAllow,
		Denied:  decision == authorizer.DecisionDeny,
		Reason:  reason,
	}
	if err != nil {
		status.EvaluationError = err.Error()
	}
	return status, nil
}

func attributes(who user.Info, resource *authorizationv1.ResourceAttributes, path *authorizationv1.NonResourceAttributes) authorizer.Attributes {
	if path != nil {
		return authorizer.AttributesRecord{User: who, Verb: path.Verb, Path: path.Path}
	}
	return authorizer.AttributesRecord{
		User:            who,
		Verb:            resource.Verb,
		Namespace:       resource.Namespace,
		APIGroup:        resource.Group,
		APIVersion:      resource.Version,
		Resource:        resource.Resource,
		Subresource:     resource.Subresource,
		Name:            resource.Name,
		ResourceRequest: true,
	}
}

func subject(spec authorizationv1.SubjectAccessReviewSpec) user.Info {
	info := &user.DefaultInfo{Name: spec.User, UID: spec.UID, Groups: spec.Groups, Extra: map[string][]string{}}
	for key, values := range spec.Extra {
		info.Extra[key] = values
	}
	return info
}
