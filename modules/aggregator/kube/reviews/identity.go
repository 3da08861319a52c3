package reviews

import (
	"context"
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
)

func (h *Handler) tokenReview(ctx context.Context, r *http.Request) (runtime.Object, error) {
	review := &authenticationv1.TokenReview{}
	if err := h.decode(r, review); err != nil {
		return nil, err
	}
	if review.Spec.Token == "" {
		return nil, apierrors.NewBadRequest("spec.token is required")
	}
	if len(review.Spec.Audiences) > 0 {
		ctx = authenticator.WithAudiences(ctx, review.Spec.Audiences)
	}
	response, ok, err := h.config.Tokens.AuthenticateToken(ctx, review.Spec.Token)
	// The token is a secret: it is not sent back.
	review.Spec.Token = ""
	review.Status = authenticationv1.TokenReviewStatus{Authenticated: ok}
	if err != nil {
		review.Status.Error = "the token was not accepted"
	}
	if ok && response != nil {
		review.Status.User = userInfo(response.User)
		review.Status.Audiences = response.Audiences
		if len(review.Status.Audiences) == 0 {
			// These tokens are not bound to an audience; a caller that names one must see it confirmed.
			review.Status.Audiences = review.Spec.Audiences
		}
	}
	return review, nil
}

func (h *Handler) selfSubjectReview(ctx context.Context, r *http.Request) (runtime.Object, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := h.decode(r, review); err != nil {
		return nil, err
	}
	self, ok := apirequest.UserFrom(ctx)
	if !ok {
		return nil, apierrors.NewUnauthorized("the request carries no identity")
	}
	review.Status.UserInfo = userInfo(self)
	return review, nil
}

func userInfo(u user.Info) authenticationv1.UserInfo {
	info := authenticationv1.UserInfo{Username: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups()}
	for key, values := range u.GetExtra() {
		if info.Extra == nil {
			info.Extra = map[string]authenticationv1.ExtraValue{}
		}
		info.Extra[key] = values
	}
	return info
}
