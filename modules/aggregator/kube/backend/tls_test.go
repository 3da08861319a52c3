package backend_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
	"github.com/detectviz/switchyard/modules/aggregator/kube/backend/backendtest"
)

const path = "/apis/wardle.example.com/v1alpha1/flunders"

// The name that counts is that of the ExternalName, and no other.
func TestVerifiedName(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		host, tlsServerName string
		certificate         []string
		want                int
	}{
		"tlsServerName":                      {"127.0.0.1", "wardle.example.com", []string{"wardle.example.com"}, 200},
		"tlsServerName, an IP address":       {"localhost", "192.0.2.7", []string{"192.0.2.7"}, 200},
		"host, an IP address":                {"127.0.0.1", "", []string{"127.0.0.1"}, 200},
		"host, a DNS name":                   {"localhost", "", []string{"localhost"}, 200},
		"name.namespace.svc when asked for":  {"127.0.0.1", "wardle.default.svc", []string{"wardle.default.svc"}, 200},
		"name.namespace.svc only":            {"127.0.0.1", "wardle.example.com", []string{"wardle.default.svc"}, 503},
		"name.namespace.svc only, for host":  {"localhost", "", []string{"wardle.default.svc"}, 503},
		"another name.namespace.svc":         {"127.0.0.1", "wardle.default.svc", []string{"wardle.example.com"}, 503},
		"host only, although tlsServerName":  {"127.0.0.1", "wardle.example.com", []string{"127.0.0.1"}, 503},
		"tlsServerName of another":           {"127.0.0.1", "wardle.example.com", []string{"flunder.example.com"}, 503},
		"common name without an alternative": {"127.0.0.1", "wardle.example.com", []string{"10.9.9.9"}, 503},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, backend.TransportSettings{})
			f.name(t, "wardle", test.host, test.tlsServerName)
			b := backendtest.Serve(t, backendtest.Options{Serving: f.serving, FrontProxy: f.frontProxy, Names: test.certificate}, ok)
			server := front(t, f.proxy(t, f.apiService(b.Port)), alice)
			status, body, _ := do(t, server.URL+path)
			if status != test.want {
				t.Errorf("got %d, want %d: %s", status, test.want, body)
			}
			if wantHits := int64(0); b.Hits() != wantHits && test.want != 200 || b.Hits() != 1 && test.want == 200 {
				t.Errorf("%d hits on the backend", b.Hits())
			}
			if strings.Contains(body, "127.0.0.1") || strings.Contains(body, "x509") {
				t.Errorf("the answer tells about the backend: %s", body)
			}
		})
	}
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }

func TestVerifiedAuthority(t *testing.T) {
	t.Parallel()
	other := backendtest.NewAuthority(t, "other")
	tests := map[string]struct {
		caBundle func(f *fixture) []byte
		insecure bool
		want     int
	}{
		"its own":                   {func(f *fixture) []byte { return f.serving.PEM }, false, 200},
		"both, during a rotation":   {func(f *fixture) []byte { return append(append([]byte{}, other.PEM...), f.serving.PEM...) }, false, 200},
		"another":                   {func(*fixture) []byte { return other.PEM }, false, 503},
		"none: the system's":        {func(*fixture) []byte { return nil }, false, 503},
		"no certificate at all":     {func(*fixture) []byte { return []byte("not pem") }, false, 503},
		"insecure, because told to": {func(*fixture) []byte { return nil }, true, 200},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, backend.TransportSettings{})
			b := f.serve(t, ok)
			service := f.apiService(b.Port)
			service.Spec.CABundle, service.Spec.InsecureSkipTLSVerify = test.caBundle(f), test.insecure
			server := front(t, f.proxy(t, service), alice)
			status, body, _ := do(t, server.URL+path)
			if status != test.want || (b.Hits() == 1) != (test.want == 200) {
				t.Errorf("got %d with %d hits, want %d: %s", status, b.Hits(), test.want, body)
			}
		})
	}
}

// A backend that demands another front-proxy authority than ours does not get our request, and the client a clear answer.
func TestOurCertificateIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, backend.TransportSettings{})
	f.name(t, "wardle", "127.0.0.1", "wardle.example.com")
	b := backendtest.Serve(t, backendtest.Options{
		Serving: f.serving, Names: []string{"wardle.example.com"}, FrontProxy: backendtest.NewAuthority(t, "other"),
	}, ok)
	server := front(t, f.proxy(t, f.apiService(b.Port)), alice)
	if status, body, _ := do(t, server.URL+path); status != 503 || b.Hits() != 0 {
		t.Errorf("got %d with %d hits: %s", status, b.Hits(), body)
	}
}

// A new pair of files is used without a restart, a broken one never.
func TestClientCertificateIsReloaded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, backend.TransportSettings{CertInterval: time.Nanosecond})
	var mu sync.Mutex
	var name string
	b := f.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		name = r.TLS.PeerCertificates[0].Subject.CommonName
	})
	server := front(t, f.proxy(t, f.apiService(b.Port)), alice)
	get := func() string {
		t.Helper()
		if status, body, _ := do(t, server.URL+path); status != 200 {
			t.Fatalf("got %d: %s", status, body)
		}
		mu.Lock()
		defer mu.Unlock()
		return name
	}
	if got := get(); got != "front-proxy-client" {
		t.Fatalf("got %q", got)
	}
	certFile, keyFile := f.frontProxy.Files(t, f.clientDir, "rotated")
	// Requests alone don't look at the files as long as a connection serves them; a check of availability does.
	look := func() {
		t.Helper()
		transport, err := f.transports.Acquire(backend.Identity{ServerName: "look.example.com"})
		if err != nil {
			t.Fatal(err)
		}
		transport.Release()
	}
	look()
	if got := get(); got != "rotated" {
		t.Errorf("got %q", got)
	}
	breakFile(t, keyFile)
	look()
	if got := get(); got != "rotated" {
		t.Errorf("after a broken key: got %q", got)
	}
	breakFile(t, certFile)
	look()
	if got := get(); got != "rotated" {
		t.Errorf("after a broken certificate: got %q", got)
	}
	f.frontProxy.Files(t, f.clientDir, "healed")
	look()
	if got := get(); got != "healed" {
		t.Errorf("after new files: got %q", got)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := wait.PollUntilContextCancel(ctx, 5*time.Millisecond, true, func(context.Context) (bool, error) {
		return condition(), nil
	}); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func breakFile(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
}
