package kube_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"

	"github.com/detectviz/switchyard/modules/aggregator/kube"
)

// way is one way to the server: a port and a version of HTTP.
type way struct {
	name   string
	base   string
	client *http.Client
}

// waysTo returns all ways to the server. serve is the handler of the plain port.
func waysTo(t *testing.T, server *kube.Server, dir string, serve http.Handler) []way {
	t.Helper()
	plain := httptest.NewUnstartedServer(serve)
	plain.Start()
	t.Cleanup(func() {
		plain.CloseClientConnections()
		plain.Close()
	})
	config, err := rest.TLSConfigFor(admin(t, server).config)
	if err != nil {
		t.Fatal(err)
	}
	bearer := "Bearer " + adminToken(t, dir)
	over := func(transport *http.Transport) *http.Client {
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: bearing{bearer, transport}}
	}
	own := "https://" + server.Addr()
	return []way{
		{"TLS port, HTTP/1.1", own, over(&http.Transport{TLSClientConfig: config.Clone(), TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}})},
		{"TLS port, HTTP/2", own, over(&http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: true})},
		{"plain port", plain.URL, over(&http.Transport{})},
	}
}

// bearing adds a token to requests.
type bearing struct {
	bearer string
	http.RoundTripper
}

func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", b.bearer)
	return b.RoundTripper.RoundTrip(r)
}

// newBackend starts an API server whose resources named "odd-..." do what the handler does.
func newBackend(t *testing.T, dir, group string, odd http.Handler) *fakeAPI {
	t.Helper()
	f := &fakeAPI{group: group}
	certificate, caBundle := issue(t, serverName)
	f.caBundle = caBundle
	proxyCA, err := os.ReadFile(filepath.Join(dir, "front-proxy-ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(proxyCA)
	usual := f.handler(t)
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := strings.CutPrefix(r.URL.Path, "/apis/"+group+"/v1/odd-"); ok {
			r.URL.Path = name
			f.hits.Add(1)
			odd.ServeHTTP(w, r)
			return
		}
		usual.ServeHTTP(w, r)
	}))
	f.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert}
	f.StartTLS()
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

// cutting answers with a chunk and closes the connection ("cut"), goes on for ever ("on"), or ends well ("whole").
func cutting(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "cut":
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n")
		_ = conn.Close()
	case "on":
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, "abcde"); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			<-ticker.C
		}
	case "silent":
		<-r.Context().Done()
	default:
		_, _ = io.WriteString(w, "abcde")
	}
}

// A client must be able to tell a part of an answer from the whole.
func TestCutAnswersAreCut(t *testing.T) {
	for _, crash := range []bool{false, true} {
		t.Run(fmt.Sprintf("ReallyCrash=%v", crash), func(t *testing.T) {
			before := utilruntime.ReallyCrash
			utilruntime.ReallyCrash = crash // as if SetProcessLogger had been called, or not
			t.Cleanup(func() { utilruntime.ReallyCrash = before })
			testCuts(t)
		})
	}
}

func testCuts(t *testing.T) {
	dir := t.TempDir()
	s := settings(dir)
	s.Timeouts.Request = time.Second
	server, _ := start(t, s)
	c := admin(t, server)
	f := newBackend(t, dir, "cut.example.com", http.HandlerFunc(cutting))
	c.register(f)
	eventually(t, func() error { return c.routable(f.group) })
	paths := "/apis/" + f.group + "/v1/odd-"
	for _, way := range waysTo(t, server, dir, server) {
		for _, test := range []struct {
			path string
			code int
			cut  bool
		}{
			{"whole", http.StatusOK, false},
			{"cut", http.StatusOK, true},
			{"cut?watch=1", http.StatusOK, true},
			{"on", http.StatusOK, true},                  // by the request timeout
			{"silent", http.StatusGatewayTimeout, false}, // that, before the answer began
			{"whole?watch=1", http.StatusOK, false},
		} {
			t.Run(way.name+"/"+test.path, func(t *testing.T) {
				hits := f.hits.Load()
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, way.base+paths+test.path, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := way.client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = answer.Body.Close() }()
				body, err := io.ReadAll(answer.Body)
				if answer.StatusCode != test.code || test.code == http.StatusOK && !strings.HasPrefix(string(body), "abcde") {
					t.Errorf("got %d: %.200s", answer.StatusCode, body)
				}
				if cut := err != nil; cut != test.cut {
					t.Errorf("cut: got %v (%v), want %v", cut, err, test.cut)
				}
				if f.hits.Load() == hits {
					t.Error("the backend was not asked")
				}
			})
		}
	}
}

// A watch that is proxied, and cut because the server drains, ends properly on all ways.
func TestDrainedStreamsEnd(t *testing.T) {
	dir := t.TempDir()
	server, _ := start(t, settings(dir))
	c := admin(t, server)
	f := newBackend(t, dir, "drained.example.com", http.HandlerFunc(cutting))
	c.register(f)
	eventually(t, func() error { return c.routable(f.group) })
	ways := waysTo(t, server, dir, server)
	ended := make(chan error, len(ways))
	for _, way := range ways {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, way.base+"/apis/"+f.group+"/v1/odd-on?watch=1", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := way.client.Do(r) //nolint:bodyclose // The goroutine below closes it.
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer func() { _ = answer.Body.Close() }()
			n, err := io.Copy(io.Discard, answer.Body)
			if n == 0 {
				err = errors.Join(err, errors.New("nothing came"))
			}
			if err != nil {
				err = fmt.Errorf("%s: %w", way.name, err)
			}
			ended <- err
		}()
	}
	began := time.Now()
	if err := server.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("drained in %v", time.Since(began))
	for range ways {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	// The connection of the plain port is good for the next request.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ways[2].base+"/livez", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := ways[2].client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("/livez: %d", answer.StatusCode)
	}
}
