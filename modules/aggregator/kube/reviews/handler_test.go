package reviews_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/detectviz/switchyard/modules/aggregator/kube/reviews"
)

// serve starts a Handler with one token, "good", of user ann, who may get things.
func serve(t *testing.T) (server *httptest.Server, stop func()) {
	t.Helper()
	done := make(chan struct{})
	handler, err := reviews.NewHandler(reviews.Config{
		Tokens: authenticator.TokenFunc(func(_ context.Context, token string) (*authenticator.Response, bool, error) {
			if token != "good" {
				return nil, false, nil
			}
			return &authenticator.Response{User: &user.DefaultInfo{Name: "ann", Groups: []string{"dev"}}}, true, nil
		}),
		Authorizer: getters{},
		FrontProxy: reviews.FrontProxy{ClientCA: "client CA", CA: "proxy CA", AllowedNames: []string{"front"}, UsernameHeaders: []string{"X-Remote-User"}},
		Done:       done,
	})
	if err != nil {
		t.Fatal(err)
	}
	resolver := &apirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, err := resolver.NewRequestInfo(r)
		if err != nil {
			t.Error(err)
		}
		ctx := apirequest.WithRequestInfo(r.Context(), info)
		ctx = apirequest.WithUser(ctx, &user.DefaultInfo{Name: r.Header.Get("Test-User"), Groups: []string{r.Header.Get("Test-Group")}})
		handler.ServeHTTP(w, r.WithContext(ctx))
	}))
	t.Cleanup(func() { server.Close() })
	return server, func() { close(done) }
}

// getters allows ann to get and denies the rest.
type getters struct{}

func (getters) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetUser().GetName() == "ann" && a.GetVerb() == "get" {
		return authorizer.DecisionAllow, "ann may get", nil
	}
	return authorizer.DecisionDeny, "no rule", nil
}

func (g getters) ConditionsAwareAuthorize(ctx context.Context, a authorizer.Attributes) authorizer.ConditionsAwareDecision {
	return authorizer.ConditionsAwareDecisionFromParts(g.Authorize(ctx, a))
}

func (getters) EvaluateConditions(context.Context, authorizer.ConditionsAwareDecision, authorizer.ConditionsData) (authorizer.Decision, string, error) {
	return authorizer.DecisionDeny, "", authorizer.ErrorConditionEvaluationNotSupported
}

// call sends a request as ann and decodes the JSON answer into into.
func call(t *testing.T, server *httptest.Server, method, path string, body, into any) int {
	t.Helper()
	var reader io.Reader
	if text, ok := body.(string); ok {
		reader = strings.NewReader(text)
	} else if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		reader = strings.NewReader(string(data))
	}
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Test-User", "ann")
	r.Header.Set("Test-Group", "dev")
	r.Header.Set("Content-Type", "application/json")
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
	}
	return response.StatusCode
}

func TestTokenReview(t *testing.T) {
	server, _ := serve(t)
	for token, want := range map[string]bool{"good": true, "bad": false} {
		var got authenticationv1.TokenReview
		code := call(t, server, http.MethodPost, "/apis/authentication.k8s.io/v1/tokenreviews",
			&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{"api"}}}, &got)
		if code != http.StatusCreated || got.Status.Authenticated != want {
			t.Errorf("token %q: got %d and authenticated=%v, want 201 and %v", token, code, got.Status.Authenticated, want)
		}
		if got.Spec.Token != "" {
			t.Errorf("token %q was sent back", token)
		}
		if want && (got.Status.User.Username != "ann" || len(got.Status.Audiences) != 1) {
			t.Errorf("token %q: got %+v", token, got.Status)
		}
	}
}

func TestAccessReviews(t *testing.T) {
	server, _ := serve(t)
	attributes := func(verb, namespace string) *authorizationv1.ResourceAttributes {
		return &authorizationv1.ResourceAttributes{Verb: verb, Group: "g", Resource: "things", Namespace: namespace}
	}
	const base = "/apis/authorization.k8s.io/v1/"
	for name, test := range map[string]struct {
		path    string
		body    any
		code    int
		allowed bool
	}{
		"allowed":       {"subjectaccessreviews", authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "ann", ResourceAttributes: attributes("get", "")}}, 201, true},
		"denied verb":   {"subjectaccessreviews", authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "ann", ResourceAttributes: attributes("delete", "")}}, 201, false},
		"other user":    {"subjectaccessreviews", authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "bob", ResourceAttributes: attributes("get", "")}}, 201, false},
		"nobody":        {"subjectaccessreviews", authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{ResourceAttributes: attributes("get", "")}}, 400, false},
		"nothing asked": {"subjectaccessreviews", authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "ann"}}, 400, false},
		"path":          {"subjectaccessreviews", authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "ann", NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/x", Verb: "get"}}}, 201, true},
		"self":          {"selfsubjectaccessreviews", authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: attributes("get", "")}}, 201, true},
		"local":         {"namespaces/a/localsubjectaccessreviews", authorizationv1.LocalSubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "ann", ResourceAttributes: attributes("get", "a")}}, 201, true},
		"other namespace": {"namespaces/a/localsubjectaccessreviews", authorizationv1.LocalSubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "ann",
			ResourceAttributes: attributes("get", "b")}}, 400, false},
		"not a review": {"subjectaccessreviews", "{", 400, false},
		"too large":    {"subjectaccessreviews", strings.Repeat(" ", 2<<20), 413, false},
	} {
		t.Run(name, func(t *testing.T) {
			var got struct{ Status any }
			code := call(t, server, http.MethodPost, base+test.path, test.body, &got)
			if code != test.code {
				t.Fatalf("got %d, want %d: %+v", code, test.code, got)
			}
			if status, ok := got.Status.(map[string]any); ok && status["allowed"] != test.allowed {
				t.Errorf("got %+v, want allowed=%v", status, test.allowed)
			}
		})
	}
}

func TestSelfSubjectReview(t *testing.T) {
	server, _ := serve(t)
	var got authenticationv1.SelfSubjectReview
	code := call(t, server, http.MethodPost, "/apis/authentication.k8s.io/v1/selfsubjectreviews", authenticationv1.SelfSubjectReview{}, &got)
	if code != http.StatusCreated || got.Status.UserInfo.Username != "ann" {
		t.Errorf("got %d, %+v", code, got.Status.UserInfo)
	}
}

func TestFrontProxyConfigMap(t *testing.T) {
	server, _ := serve(t)
	var got corev1.ConfigMap
	if code := call(t, server, http.MethodGet, "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication", nil, &got); code != http.StatusOK {
		t.Fatalf("got %d", code)
	}
	want := map[string]string{
		"client-ca-file":                     "client CA",
		"requestheader-client-ca-file":       "proxy CA",
		"requestheader-allowed-names":        `["front"]`,
		"requestheader-username-headers":     `["X-Remote-User"]`,
		"requestheader-uid-headers":          `[]`,
		"requestheader-group-headers":        `[]`,
		"requestheader-extra-headers-prefix": `[]`,
	}
	for key, value := range want {
		if got.Data[key] != value {
			t.Errorf("%s: got %q, want %q", key, got.Data[key], value)
		}
	}
	if code := call(t, server, http.MethodGet, "/api/v1/namespaces/default/configmaps/extension-apiserver-authentication", nil, nil); code != http.StatusNotFound {
		t.Errorf("in another namespace: got %d, want 404", code)
	}
	if code := call(t, server, http.MethodDelete, "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication", nil, nil); code != http.StatusMethodNotAllowed {
		t.Errorf("delete: got %d, want 405", code)
	}
}

func TestCollections(t *testing.T) {
	server, _ := serve(t)
	for path, want := range map[string]int{
		"/api/v1/namespaces": 2,
		"/api/v1/namespaces?fieldSelector=metadata.name%3Ddefault":                     1,
		"/api/v1/namespaces?labelSelector=kubernetes.io%2Fmetadata.name%3Dkube-system": 1,
		"/api/v1/namespaces/kube-system/configmaps":                                    1,
		"/api/v1/namespaces/default/configmaps":                                        0,
		"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations":        0,
		"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations":          0,
		"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies":            0,
		"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings":      0,
		"/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies":              0,
		"/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas":                            0,
		"/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations":            0,
	} {
		var got struct {
			Kind  string
			Items []any
		}
		if code := call(t, server, http.MethodGet, path, nil, &got); code != http.StatusOK || len(got.Items) != want || !strings.HasSuffix(got.Kind, "List") {
			t.Errorf("%s: got %d, kind %q and %d items, want 200, a list and %d", path, code, got.Kind, len(got.Items), want)
		}
	}
	var unlisted corev1.Namespace
	if code := call(t, server, http.MethodGet, "/api/v1/namespaces/team-a", nil, &unlisted); code != http.StatusOK || unlisted.Name != "team-a" || unlisted.Status.Phase != corev1.NamespaceActive {
		t.Errorf("a namespace that is not listed: got %d, %+v", code, unlisted)
	}
	for _, path := range []string{"/api/v1/pods", "/apis/apps/v1/deployments", "/elsewhere", "/api/v1/namespaces/default/status"} {
		if code := call(t, server, http.MethodGet, path, nil, nil); code != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, code)
		}
	}
}

func TestWatch(t *testing.T) {
	server, stop := serve(t)
	var list metav1.PartialObjectMetadataList
	call(t, server, http.MethodGet, "/api/v1/namespaces", nil, &list)
	const initial = "sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
	for name, test := range map[string]struct {
		query string
		want  []string
		code  int
	}{
		"initial events":     {initial, []string{"ADDED", "ADDED", "BOOKMARK"}, 200},
		"from now":           {"resourceVersion=" + list.ResourceVersion, nil, 200},
		"unset version":      {"", []string{"ADDED", "ADDED"}, 200},
		"of another content": {"resourceVersion=77", nil, 410},
	} {
		t.Run(name, func(t *testing.T) {
			response := get(t, server, "/api/v1/namespaces?watch=true&timeoutSeconds=1&"+test.query) //nolint:bodyclose // get closes it.
			if response.StatusCode != test.code {
				t.Fatalf("got %d, want %d", response.StatusCode, test.code)
			}
			if test.code != http.StatusOK {
				return
			}
			got := events(t, response.Body)
			if len(got) != len(test.want) {
				t.Fatalf("got %v, want %v", got, test.want)
			}
			for i, event := range got {
				if event.Type != test.want[i] {
					t.Errorf("event %d: got %s, want %s", i, event.Type, test.want[i])
				}
				if event.Type == "BOOKMARK" && !strings.Contains(string(event.Object.Raw), `"k8s.io/initial-events-end":"true"`) {
					t.Errorf("the bookmark does not end the initial events: %s", event.Object.Raw)
				}
			}
		})
	}
	t.Run("ends with the server", func(t *testing.T) {
		response := get(t, server, "/api/v1/namespaces?watch=true&"+initial) //nolint:bodyclose // get closes it.
		began := time.Now()
		stop()
		if got := events(t, response.Body); len(got) != 3 {
			t.Errorf("got %v", got)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the watch ended after %v", took)
		}
	})
}

func get(t *testing.T, server *httptest.Server, path string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// events reads JSON watch events until the proper end of the stream.
func events(t *testing.T, body io.Reader) []metav1.WatchEvent {
	t.Helper()
	var all []metav1.WatchEvent
	decoder := json.NewDecoder(body)
	for {
		var event metav1.WatchEvent
		switch err := decoder.Decode(&event); err {
		case nil:
			all = append(all, event)
		case io.EOF:
			return all
		default:
			t.Fatalf("the stream did not end properly: %v", err)
		}
	}
}

func TestNewHandlerReportsEverything(t *testing.T) {
	_, err := reviews.NewHandler(reviews.Config{})
	if err == nil {
		t.Fatal("want an error")
	}
	if got := strings.Count(err.Error(), "required"); got != 6 {
		t.Errorf("want 6 problems, got %d: %v", got, err)
	}
}
