package kube_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
)

func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	server, _ := start(t, settings(dir))
	byCertificate := admin(t, server)
	backend := newClient(t, dir+"/backend.kubeconfig")
	ca := rest.TLSClientConfig{CAFile: dir + "/ca.crt"}
	byToken := clientFor(t, &rest.Config{Host: "https://" + server.Addr(), TLSClientConfig: ca, BearerToken: adminToken(t, dir)})
	badToken := clientFor(t, &rest.Config{Host: "https://" + server.Addr(), TLSClientConfig: ca, BearerToken: "wrong"})
	anonymous := clientFor(t, &rest.Config{Host: "https://" + server.Addr(), TLSClientConfig: ca})
	ca.CertFile, ca.KeyFile = dir+"/front-proxy-client.crt", dir+"/front-proxy-client.key"
	frontProxy := clientFor(t, &rest.Config{Host: "https://" + server.Addr(), TLSClientConfig: ca})
	spoof := []string{"X-Remote-User", "admin", "X-Remote-Group", "system:masters"}

	for name, test := range map[string]struct {
		client *client
		header []string
		user   string // "" if the request is refused
		group  string
	}{
		"client certificate":        {byCertificate, nil, "admin", "system:masters"},
		"bearer token":              {byToken, nil, "admin", "system:masters"},
		"backend":                   {backend, nil, "backend", "system:switchyard:backends"},
		"wrong token":               {badToken, nil, "", ""},
		"nobody":                    {anonymous, nil, "", ""},
		"headers of nobody":         {anonymous, spoof, "", ""},
		"headers of a client":       {backend, spoof, "backend", "system:switchyard:backends"},
		"front proxy, no headers":   {frontProxy, nil, "", ""},
		"front proxy with headers":  {frontProxy, []string{"X-Remote-User", "ann", "X-Remote-Group", "dev"}, "ann", "dev"},
		"impersonation by a client": {backend, []string{"Impersonate-User", "admin", "Impersonate-Group", "system:masters"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			body, code := test.client.do(http.MethodPost, "/apis/authentication.k8s.io/v1/selfsubjectreviews",
				`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`, test.header...)
			if test.user == "" {
				if code != http.StatusUnauthorized && code != http.StatusForbidden {
					t.Fatalf("got %d, want 401 or 403: %s", code, body)
				}
				return
			}
			var review authenticationv1.SelfSubjectReview
			if err := json.Unmarshal([]byte(body), &review); err != nil || code != http.StatusCreated {
				t.Fatalf("%d %v: %s", code, err, body)
			}
			who := review.Status.UserInfo
			if who.Username != test.user || !slices.Contains(who.Groups, test.group) || !slices.Contains(who.Groups, "system:authenticated") {
				t.Errorf("got %q in %v, want %q in %q", who.Username, who.Groups, test.user, test.group)
			}
			if test.group != "system:masters" && slices.Contains(who.Groups, "system:masters") {
				t.Errorf("became an administrator: %v", who.Groups)
			}
		})
	}

	t.Run("token review", func(t *testing.T) {
		for token, want := range map[string]bool{adminToken(t, dir): true, "wrong": false} {
			body, code := backend.do(http.MethodPost, "/apis/authentication.k8s.io/v1/tokenreviews",
				`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"`+token+`"}}`)
			var review authenticationv1.TokenReview
			if err := json.Unmarshal([]byte(body), &review); err != nil || code != http.StatusCreated || review.Status.Authenticated != want {
				t.Errorf("got %d %v, want authenticated=%v: %s", code, err, want, body)
			}
			if want && !slices.Contains(review.Status.User.Groups, "system:authenticated") {
				t.Errorf("groups: %v", review.Status.User.Groups)
			}
		}
	})
	t.Run("access review", func(t *testing.T) {
		for who, want := range map[string]bool{"system:masters": true, "dev": false} {
			body, code := backend.do(http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews",
				`{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{"user":"x","groups":["`+who+`"],"resourceAttributes":{"verb":"create","group":"g","resource":"things"}}}`)
			var review authorizationv1.SubjectAccessReview
			if err := json.Unmarshal([]byte(body), &review); err != nil || code != http.StatusCreated || review.Status.Allowed != want || review.Status.Reason == "" {
				t.Errorf("%s: got %d %v, want allowed=%v: %s", who, code, err, want, body)
			}
		}
	})
	t.Run("denied with a reason", func(t *testing.T) {
		body, code := backend.get("/apis/apiregistration.k8s.io/v1/apiservices")
		if code != http.StatusForbidden || !strings.Contains(body, `no rule allows user`) {
			t.Errorf("got %d: %s", code, body)
		}
	})
	t.Run("public paths", func(t *testing.T) {
		for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/healthz": 200, "/version": 200, "/apis": 401, "/metrics": 401, "/": 401} {
			if body, code := anonymous.get(path); code != want {
				t.Errorf("%s: got %d, want %d: %s", path, code, want, body)
			}
		}
	})
	t.Run("on another port of the process", func(t *testing.T) {
		other := httptest.NewServer(server)
		defer other.Close()
		withToken := clientFor(t, &rest.Config{Host: other.URL, BearerToken: adminToken(t, dir)})
		without := clientFor(t, &rest.Config{Host: other.URL})
		if body, code := withToken.get("/apis/apiregistration.k8s.io/v1/apiservices"); code != http.StatusOK {
			t.Errorf("with a token: got %d: %s", code, body)
		}
		if body, code := without.get("/apis/apiregistration.k8s.io/v1/apiservices", spoof...); code != http.StatusUnauthorized {
			t.Errorf("with headers only: got %d, want 401: %s", code, body)
		}
		if body, code := without.get("/version"); code != http.StatusOK {
			t.Errorf("/version: got %d: %s", code, body)
		}
	})
}
