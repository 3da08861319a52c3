package kube_test

import (
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/detectviz/switchyard/modules/aggregator/kube"
)

func TestPolicy(t *testing.T) {
	t.Parallel()
	admin := &user.DefaultInfo{Name: "admin", Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated}}
	ann := &user.DefaultInfo{Name: "ann", Groups: []string{user.AllAuthenticated}}
	backend := &user.DefaultInfo{Name: "backend", Groups: []string{kube.BackendGroup, user.AllAuthenticated}}
	anonymous := &user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}
	path := func(verb, path string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{Verb: verb, Path: path}
	}
	resource := func(verb, group, resource, namespace, name string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{Verb: verb, APIGroup: group, APIVersion: "v1", Resource: resource, Namespace: namespace, Name: name, ResourceRequest: true}
	}
	status := resource("create", "authentication.k8s.io", "tokenreviews", "", "")
	status.Subresource = "status"
	for name, test := range map[string]struct {
		who  user.Info
		what authorizer.AttributesRecord
		want bool
	}{
		"nobody":                                 {nil, path("get", "/healthz"), false},
		"admin deletes":                          {admin, resource("delete", "apiregistration.k8s.io", "apiservices", "", "x"), true},
		"admin metrics":                          {admin, path("get", "/metrics"), true},
		"anonymous health":                       {anonymous, path("get", "/readyz"), true},
		"anonymous version":                      {anonymous, path("get", "/version"), true},
		"anonymous discovery":                    {anonymous, path("get", "/apis"), false},
		"anonymous posts health":                 {anonymous, path("post", "/readyz"), false},
		"anonymous looks alike":                  {anonymous, path("get", "/healthzz"), false},
		"anonymous review of self":               {anonymous, resource("create", "authentication.k8s.io", "selfsubjectreviews", "", ""), false},
		"user discovery":                         {ann, path("get", "/apis/group/v1"), true},
		"user openapi":                           {ann, path("get", "/openapi/v3/apis/group/v1"), true},
		"user metrics":                           {ann, path("get", "/metrics"), false},
		"user posts discovery":                   {ann, path("post", "/apis"), false},
		"user review of self":                    {ann, resource("create", "authorization.k8s.io", "selfsubjectaccessreviews", "", ""), true},
		"user whoami":                            {ann, resource("create", "authentication.k8s.io", "selfsubjectreviews", "", ""), true},
		"user review of others":                  {ann, resource("create", "authorization.k8s.io", "subjectaccessreviews", "", ""), false},
		"user reads APIServices":                 {ann, resource("list", "apiregistration.k8s.io", "apiservices", "", ""), false},
		"user reads a backend":                   {ann, resource("get", "wardle.example.com", "flunders", "default", "x"), false},
		"backend token review":                   {backend, resource("create", "authentication.k8s.io", "tokenreviews", "", ""), true},
		"backend access review":                  {backend, resource("create", "authorization.k8s.io", "subjectaccessreviews", "", ""), true},
		"backend review of a foreign group":      {backend, resource("create", "example.com", "tokenreviews", "", ""), false},
		"backend subresource":                    {backend, status, false},
		"backend configmap":                      {backend, resource("watch", "", "configmaps", "kube-system", "extension-apiserver-authentication"), true},
		"backend other configmap":                {backend, resource("get", "", "configmaps", "kube-system", "other"), false},
		"backend all configmaps":                 {backend, resource("list", "", "configmaps", "kube-system", ""), false},
		"backend configmap of another namespace": {backend, resource("get", "", "configmaps", "default", "extension-apiserver-authentication"), false},
		"backend namespaces":                     {backend, resource("watch", "", "namespaces", "", ""), true},
		"backend creates a namespace":            {backend, resource("create", "", "namespaces", "", ""), false},
		"backend webhooks":                       {backend, resource("list", "admissionregistration.k8s.io", "validatingwebhookconfigurations", "", ""), true},
		"backend flow schemas":                   {backend, resource("list", "flowcontrol.apiserver.k8s.io", "flowschemas", "", ""), true},
		"backend registers itself":               {backend, resource("create", "apiregistration.k8s.io", "apiservices", "", ""), false},
		"backend reads secrets":                  {backend, resource("get", "", "secrets", "kube-system", "x"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.what.User = test.who
			decision, reason, err := kube.Policy.Authorize(t.Context(), test.what)
			if err != nil {
				t.Fatal(err)
			}
			if got := decision == authorizer.DecisionAllow; got != test.want {
				t.Errorf("allowed: got %v, want %v (%s)", got, test.want, reason)
			}
			if reason == "" {
				t.Error("the decision has no reason")
			}
			if aware := kube.Policy.ConditionsAwareAuthorize(t.Context(), test.what); aware.IsAllow() != test.want {
				t.Error("the conditions-aware decision differs")
			}
		})
	}
}
