package backend_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
	"github.com/detectviz/switchyard/modules/aggregator/kube/backend/backendtest"
)

func unavailable(s *apiregistration.APIService) *apiregistration.APIService {
	s.Status.Conditions = nil
	return s
}

// wantStatus checks that an answer is a Status that does not tell where the backend is.
func wantStatus(t *testing.T, code int, body string, header http.Header, want int, reason metav1.StatusReason) {
	t.Helper()
	var status metav1.Status
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatalf("%d: %s: %v", code, body, err)
	}
	if code != want || int(status.Code) != want || status.Reason != reason || status.Kind != "Status" || status.Status != metav1.StatusFailure {
		t.Errorf("got %d, %+v; want %d, %s", code, status, want, reason)
	}
	if got := header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
	for _, internal := range []string{"127.0.0.1", "example.com:", "localhost", "x509", "dial"} {
		if strings.Contains(body, internal) {
			t.Errorf("the answer tells about the backend: %s", body)
		}
	}
}

func TestFailuresAreStatuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t, backend.TransportSettings{})
	b := f.serve(t, ok)
	unsynced := backend.NewResolver(f.names, func() bool { return false })
	missing := f.apiService(b.Port)
	missing.Spec.Service.Name = "nowhere"
	local := f.apiService(b.Port)
	local.Spec.Service = nil
	f.name(t, "metadata", "169.254.169.254", "")
	refused := f.apiService(80)
	refused.Spec.Service.Name = "metadata"
	closed := f.proxy(t, f.apiService(b.Port))
	closed.Close()
	tests := map[string]struct {
		handler http.Handler
		nobody  bool
		want    int
		reason  metav1.StatusReason
	}{
		"not available":      {f.proxy(t, unavailable(f.apiService(b.Port))), false, 503, metav1.StatusReasonServiceUnavailable},
		"no user":            {f.proxy(t, f.apiService(b.Port)), true, 500, metav1.StatusReasonInternalError},
		"no ExternalName":    {f.proxy(t, missing), false, 503, metav1.StatusReasonServiceUnavailable},
		"names not loaded":   {backend.NewProxy(backend.ProxySettings{Resolver: unsynced, Transports: f.transports, Log: logger(t)}, missing), false, 503, metav1.StatusReasonServiceUnavailable},
		"address refused":    {f.proxy(t, refused), false, 503, metav1.StatusReasonServiceUnavailable},
		"nobody listens":     {f.proxy(t, f.apiService(1)), false, 503, metav1.StatusReasonServiceUnavailable},
		"local":              {f.proxy(t, local), false, 503, metav1.StatusReasonServiceUnavailable},
		"closed":             {closed, false, 503, metav1.StatusReasonServiceUnavailable},
		"closed, discovery":  {closed.Discovery(), false, 503, metav1.StatusReasonServiceUnavailable},
		"no user, discovery": {f.proxy(t, f.apiService(b.Port)).Discovery(), true, 500, metav1.StatusReasonInternalError},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			who := alice
			server := front(t, test.handler, who)
			if test.nobody {
				server = front(t, test.handler, nil)
			}
			status, body, header := do(t, server.URL+path)
			wantStatus(t, status, body, header, test.want, test.reason)
		})
	}
	if b.Hits() != 0 {
		t.Errorf("%d hits on the backend", b.Hits())
	}
}

func TestInadmissibleRequests(t *testing.T) {
	t.Parallel()
	f := newFixture(t, backend.TransportSettings{})
	b := f.serve(t, ok)
	server := front(t, f.proxy(t, f.apiService(b.Port)), alice)
	for name, request := range map[string]string{
		"h2c":                 "GET " + path + " HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
		"h2c, upper case":     "GET " + path + " HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: H2C\r\n",
		"h2c in a list":       "GET " + path + " HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
		"h2c in a second one": "GET " + path + " HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
		"h2c, alone":          "GET " + path + " HTTP/1.1\r\nUpgrade: h2c\r\n",
		"TLS":                 "GET " + path + " HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
		"dots":                "GET /apis/wardle.example.com/v1alpha1/../../../metrics HTTP/1.1\r\n",
		"encoded dots":        "GET /apis/wardle.example.com/v1alpha1/%2e%2e/%2e%2e/metrics HTTP/1.1\r\n",
		"encoded slashes":     "GET /apis/wardle.example.com/v1alpha1/..%2f..%2fmetrics HTTP/1.1\r\n",
		"TRACE":               "TRACE " + path + " HTTP/1.1\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn := dialRaw(t, server)
			if _, err := io.WriteString(conn, request+"Host: front\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			wantStatus(t, response.StatusCode, string(body), response.Header, 400, metav1.StatusReasonBadRequest)
		})
	}
	if b.Hits() != 0 {
		t.Errorf("%d hits on the backend", b.Hits())
	}
	if status, body, _ := do(t, server.URL+path+"/.hidden...name"); status != 200 || b.Hits() != 1 {
		t.Errorf("a name with dots: %d: %s", status, body)
	}
}

// A redirect is neither followed nor passed on.
func TestRedirectsAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, backend.TransportSettings{})
	f.name(t, "elsewhere", "127.0.0.1", "wardle.example.com")
	elsewhere := backendtest.Serve(t, backendtest.Options{Serving: f.serving, Names: []string{"wardle.example.com"}}, ok)
	location := fmt.Sprintf("https://127.0.0.1:%d/stolen", elsewhere.Port)
	tests := map[int]bool{301: true, 302: true, 303: true, 307: true, 308: true, 304: true, 300: true, 399: true}
	for code := range tests {
		b := f.serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(code)
		})
		server := front(t, f.proxy(t, f.apiService(b.Port)), alice)
		status, body, header := do(t, server.URL+path)
		wantStatus(t, status, body, header, 502, "BadGateway")
		if header.Get("Location") != "" || b.Hits() != 1 {
			t.Errorf("%d: location %q, %d hits", code, header.Get("Location"), b.Hits())
		}
	}
	b := f.serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) })
	if status, _, _ := do(t, front(t, f.proxy(t, f.apiService(b.Port)), alice).URL+path); status != 304 {
		t.Errorf("304 without location: got %d", status)
	}
	if elsewhere.Hits() != 0 {
		t.Errorf("%d hits on the redirect's target", elsewhere.Hits())
	}
}

// What the backend answers is passed on, but for what it must not say on our address.
func TestAnswerIsPassedOn(t *testing.T) {
	t.Parallel()
	f := newFixture(t, backend.TransportSettings{})
	b := f.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Proto != "HTTP/2.0" {
			t.Errorf("protocol %s, want HTTP/2", r.Proto)
		}
		if got, want := r.URL.RequestURI(), path+"?labelSelector=a%3Db&limit=5"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		h := w.Header()
		h.Set("Set-Cookie", "a=b")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Alt-Svc", `h2="evil.example.com:443"`)
		h.Set("Warning", `299 - "deprecated"`)
		h.Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, `{"kind":"Flunder"}`)
	})
	server := front(t, f.proxy(t, f.apiService(b.Port)), alice)
	status, body, header := do(t, server.URL+path+"?labelSelector=a%3Db&limit=5")
	if status != http.StatusTeapot || body != `{"kind":"Flunder"}` || b.Hits() != 1 {
		t.Errorf("got %d %s, %d hits", status, body, b.Hits())
	}
	if header.Get("Warning") == "" || header.Get("Content-Type") != "application/json" {
		t.Errorf("headers are missing: %v", header)
	}
	for _, name := range []string{"Set-Cookie", "Access-Control-Allow-Origin", "Alt-Svc"} {
		if header.Get(name) != "" {
			t.Errorf("%s: %q reached the client", name, header.Get(name))
		}
	}
}

func TestDiscoveryIgnoresAvailabilityAndHasADeadline(t *testing.T) {
	t.Parallel()
	f := newFixture(t, backend.TransportSettings{})
	b := f.serve(t, ok)
	p := f.proxy(t, unavailable(f.apiService(b.Port)))
	if status, body, _ := do(t, front(t, p.Discovery(), alice).URL+"/apis/wardle.example.com/v1alpha1"); status != 200 || b.Hits() != 1 {
		t.Errorf("got %d, %d hits: %s", status, b.Hits(), body)
	}
	hanging := backend.NewProxy(backend.ProxySettings{
		Resolver: f.resolver, Transports: f.transports, Log: logger(t), DiscoveryTimeout: 50 * time.Millisecond,
	}, f.apiService(backendtest.Hanging(t)))
	defer hanging.Close()
	began := time.Now()
	status, body, header := do(t, front(t, hanging, alice).URL+"/apis/wardle.example.com/v1alpha1")
	wantStatus(t, status, body, header, 504, metav1.StatusReasonTimeout)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
}

// Each event of a watch arrives when it is sent, and the watch ends with the client's interest in it.
func TestWatchIsStreamed(t *testing.T) {
	t.Parallel()
	for name, http1 := range map[string]bool{"HTTP/2": false, "HTTP/1.1": true} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, backend.TransportSettings{})
			f.name(t, "wardle", "127.0.0.1", "wardle.example.com")
			next, gone := make(chan string), make(chan struct{})
			b := backendtest.Serve(t, backendtest.Options{
				Serving: f.serving, FrontProxy: f.frontProxy, Names: []string{"wardle.example.com"}, HTTP1: http1,
			}, func(w http.ResponseWriter, r *http.Request) {
				defer close(gone)
				for {
					select {
					case event := <-next:
						_, _ = io.WriteString(w, event+"\n")
						w.(http.Flusher).Flush()
					case <-r.Context().Done():
						return
					}
				}
			})
			server := front(t, f.proxy(t, f.apiService(b.Port)), alice)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path+"?watch=true", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			go func() { next <- "first" }()
			transport := &http.Transport{DisableKeepAlives: true}
			response, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			lines := bufio.NewReader(response.Body)
			for i, want := range []string{"first", "second", "third"} {
				if i > 0 {
					next <- want
				}
				if got, err := lines.ReadString('\n'); err != nil || got != want+"\n" {
					t.Fatalf("got %q, %v; want %q", got, err, want)
				}
			}
			cancel()
			<-gone
		})
	}
}

// An answer that breaks off in the middle does not look complete.
func TestBrokenAnswerIsSeen(t *testing.T) {
	t.Parallel()
	f := newFixture(t, backend.TransportSettings{})
	b := f.serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"items":[`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	server := front(t, f.proxy(t, f.apiService(b.Port)), alice)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err == nil {
		_, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
	}
	if err == nil {
		t.Error("the client took a part of the answer for the whole")
	}
	if b.Hits() != 1 {
		t.Errorf("%d hits", b.Hits())
	}
}

// Traffic follows the ExternalName and the APIService, and nothing of the former ones is kept.
func TestChangesAreFollowed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, backend.TransportSettings{IdleTimeout: time.Nanosecond})
	names := []string{"one.example.com", "two.example.com"}
	var backends []*backendtest.Backend
	for _, name := range names {
		backends = append(backends, backendtest.Serve(t, backendtest.Options{
			Serving: f.serving, FrontProxy: f.frontProxy, Names: []string{name},
		}, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
	}
	f.name(t, "wardle", "127.0.0.1", names[0])
	p := f.proxy(t, f.apiService(backends[0].Port))
	server := front(t, p, alice)
	for i := range 10 {
		b, name := backends[i%2], names[i%2]
		f.name(t, "wardle", "127.0.0.1", name)
		p.Update(f.apiService(b.Port))
		if status, body, _ := do(t, server.URL+path); status != 200 || body != name {
			t.Fatalf("%d: got %d %s, want %s", i, status, body, name)
		}
	}
	p.Update(unavailable(f.apiService(backends[0].Port)))
	if status, _, _ := do(t, server.URL+path); status != 503 {
		t.Errorf("not available: got %d", status)
	}
	if got := f.transports.Kept(); got > 2 {
		t.Errorf("%d sets of connections are kept", got)
	}
	eventually(t, "idle connections end", func() bool { return f.dialer.Open() <= 2 })
}

func TestCloseEndsRequests(t *testing.T) {
	t.Parallel()
	f := newFixture(t, backend.TransportSettings{})
	began := make(chan struct{})
	b := f.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	})
	server := front(t, f.proxy(t, f.apiService(b.Port)), alice)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		<-began
		f.transports.Close()
	}()
	status, body, header := do(t, server.URL+path)
	wantStatus(t, status, body, header, 503, metav1.StatusReasonServiceUnavailable)
	<-closed
	if _, err := f.transports.Acquire(backend.Identity{ServerName: "a"}); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("got: %v", err)
	}
}

func TestResolver(t *testing.T) {
	t.Parallel()
	f := newFixture(t, backend.TransportSettings{})
	f.name(t, "a", "fd12::1", "")
	f.name(t, "b", "b.example.com", "verified.example.com")
	if got, err := f.resolver.Resolve("default", "a", 443); err != nil || got != (backend.Endpoint{Addr: "[fd12::1]:443", ServerName: "fd12::1"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := f.resolver.Resolve("default", "b", 8443); err != nil || got != (backend.Endpoint{Addr: "b.example.com:8443", ServerName: "verified.example.com"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err := f.resolver.Resolve("other", "a", 443)
	if missing, ok := errors.AsType[*backend.NotFoundError](err); !ok || missing.Namespace != "other" || missing.Name != "a" {
		t.Errorf("got: %v", err)
	}
	loading := backend.NewResolver(f.names, func() bool { return false })
	if _, err := loading.Resolve("other", "a", 443); !errors.Is(err, backend.ErrNotSynced) {
		t.Errorf("got: %v", err)
	}
	if _, err := loading.Resolve("default", "a", 443); err != nil {
		t.Errorf("what is there can be used: %v", err)
	}
}
