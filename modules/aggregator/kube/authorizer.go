package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/detectviz/switchyard/modules/aggregator/kube/reviews"
)

// BackendGroup is the group of the identity that API servers behind the aggregator use to ask for reviews. Its
// certificate is in backend.kubeconfig.
const BackendGroup = "system:switchyard:backends"

// publicPaths may be read without authentication.
func publicPaths() []string { return []string{"/livez", "/readyz", "/healthz", "/version"} }

// policy is the fixed authorization of the aggregator. Administrators (system:masters) may do everything; whoever has
// authenticated may read discovery and ask about themselves; backends may ask for reviews and read the collections that
// package reviews serves; anybody may read health and version. Everything else is denied with a reason.
type policy struct{}

var _ authorizer.Authorizer = policy{}

// Authorize decides without looking anything up: it does not block and returns no error.
func (policy) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	who := a.GetUser()
	if who == nil {
		return authorizer.DecisionDeny, "the request carries no identity", nil
	}
	in := func(group string) bool { return slices.Contains(who.GetGroups(), group) }
	switch {
	case in(user.SystemPrivilegedGroup):
		return authorizer.DecisionAllow, "group " + user.SystemPrivilegedGroup, nil
	case !a.IsResourceRequest() && isRead(a) && under(a.GetPath(), publicPaths()...):
		return authorizer.DecisionAllow, "public path", nil
	case in(user.AllAuthenticated) && isDiscovery(a):
		return authorizer.DecisionAllow, "discovery", nil
	case in(user.AllAuthenticated) && isSelfReview(a):
		return authorizer.DecisionAllow, "review of oneself", nil
	case in(BackendGroup) && (isDelegatedReview(a) || isBackendRead(a)):
		return authorizer.DecisionAllow, "group " + BackendGroup, nil
	}
	return authorizer.DecisionDeny, fmt.Sprintf("no rule allows user %q to %s", who.GetName(), describe(a)), nil
}

// ConditionsAwareAuthorize is Authorize: there are no conditions.
func (p policy) ConditionsAwareAuthorize(ctx context.Context, a authorizer.Attributes) authorizer.ConditionsAwareDecision {
	return authorizer.ConditionsAwareDecisionFromParts(p.Authorize(ctx, a))
}

// EvaluateConditions denies: there are no conditions.
func (policy) EvaluateConditions(context.Context, authorizer.ConditionsAwareDecision, authorizer.ConditionsData) (authorizer.Decision, string, error) {
	return authorizer.DecisionDeny, "", authorizer.ErrorConditionEvaluationNotSupported
}

func isRead(a authorizer.Attributes) bool {
	return slices.Contains([]string{"get", "head", "list", "watch"}, a.GetVerb())
}

func isDiscovery(a authorizer.Attributes) bool {
	return isRead(a) && !a.IsResourceRequest() && under(a.GetPath(), "/api", "/apis", "/openapi")
}

func isSelfReview(a authorizer.Attributes) bool {
	if !a.IsResourceRequest() || a.GetVerb() != "create" || a.GetSubresource() != "" {
		return false
	}
	switch a.GetAPIGroup() {
	case "authentication.k8s.io":
		return a.GetResource() == "selfsubjectreviews"
	case "authorization.k8s.io":
		return a.GetResource() == "selfsubjectaccessreviews" || a.GetResource() == "selfsubjectrulesreviews"
	}
	return false
}

func isDelegatedReview(a authorizer.Attributes) bool {
	if !a.IsResourceRequest() || a.GetVerb() != "create" || a.GetSubresource() != "" {
		return false
	}
	return a.GetAPIGroup() == "authentication.k8s.io" && a.GetResource() == "tokenreviews" ||
		a.GetAPIGroup() == "authorization.k8s.io" && a.GetResource() == "subjectaccessreviews"
}

// isBackendRead covers what package reviews serves for backends.
func isBackendRead(a authorizer.Attributes) bool {
	if !a.IsResourceRequest() || !isRead(a) || a.GetSubresource() != "" {
		return false
	}
	switch a.GetAPIGroup() {
	case "":
		// A list or watch that selects one name carries that name.
		return a.GetResource() == "namespaces" ||
			a.GetResource() == "configmaps" && a.GetNamespace() == reviews.ConfigMapNamespace && a.GetName() == reviews.ConfigMapName
	case "admissionregistration.k8s.io", "flowcontrol.apiserver.k8s.io":
		return true
	}
	return false
}

// under reports whether path is one of the roots or below one.
func under(path string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return path == root || strings.HasPrefix(path, root+"/")
	})
}

func describe(a authorizer.Attributes) string {
	if !a.IsResourceRequest() {
		return fmt.Sprintf("%s %q", a.GetVerb(), a.GetPath())
	}
	resource := a.GetResource()
	if a.GetAPIGroup() != "" {
		resource += "." + a.GetAPIGroup()
	}
	if a.GetSubresource() != "" {
		resource += "/" + a.GetSubresource()
	}
	return fmt.Sprintf("%s %s", a.GetVerb(), resource)
}
