package backend_test

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/tools/cache"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
	"github.com/detectviz/switchyard/modules/aggregator/kube/backend/backendtest"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// fixture is what stands between a client and backends: names, connections, and the two authorities.
type fixture struct {
	serving, frontProxy *backendtest.Authority
	clientDir           string
	dialer              *backend.Dialer
	transports          *backend.Transports
	names               cache.Store
	resolver            *backend.Resolver
}

func newFixture(t testing.TB, settings backend.TransportSettings) *fixture {
	t.Helper()
	f := &fixture{
		serving:    backendtest.NewAuthority(t, "serving"),
		frontProxy: backendtest.NewAuthority(t, "front-proxy"),
		clientDir:  t.TempDir(),
		dialer:     backend.NewDialer(backend.DialSettings{Allow: loopback}),
		names:      cache.NewStore(cache.MetaNamespaceKeyFunc),
	}
	settings.CertFile, settings.KeyFile = f.frontProxy.Files(t, f.clientDir, "front-proxy-client")
	var err error
	if f.transports, err = backend.NewTransports(f.dialer, settings, logger(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.transports.Close()
		if open := f.dialer.Open(); open != 0 {
			t.Errorf("%d connections are open after Close", open)
		}
	})
	f.resolver = backend.NewResolver(f.names, func() bool { return true })
	return f
}

func logger(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// name stores an ExternalName default/<name>.
func (f *fixture) name(t testing.TB, name, host, tlsServerName string) {
	t.Helper()
	e := &v1alpha1.ExternalName{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       v1alpha1.ExternalNameSpec{Host: host, TLSServerName: tlsServerName},
	}
	if err := f.names.Add(e); err != nil {
		t.Fatal(err)
	}
}

// serve starts a backend with the certificate names, on the name "wardle" that is verified as wardle.example.com.
func (f *fixture) serve(t testing.TB, handler http.HandlerFunc) *backendtest.Backend {
	t.Helper()
	f.name(t, "wardle", "127.0.0.1", "wardle.example.com")
	return backendtest.Serve(t, backendtest.Options{
		Serving: f.serving, Names: []string{"wardle.example.com"}, FrontProxy: f.frontProxy,
	}, handler)
}

func (f *fixture) apiService(port int32) *apiregistration.APIService {
	return backendtest.APIService("wardle.example.com", "v1alpha1", "wardle", port, f.serving.PEM)
}

func (f *fixture) proxy(t testing.TB, service *apiregistration.APIService) *backend.Proxy {
	t.Helper()
	p := backend.NewProxy(backend.ProxySettings{Resolver: f.resolver, Transports: f.transports, Log: logger(t)}, service)
	t.Cleanup(p.Close)
	return p
}

var alice = &user.DefaultInfo{
	Name: "alice", UID: "42", Groups: []string{"dev", "system:authenticated"},
	Extra: map[string][]string{"example.com/scope": {"read"}},
}

// front serves a handler as an API server does, with the user in the context.
func front(t testing.TB, handler http.Handler, who user.Info) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if who != nil {
			ctx = request.WithUser(ctx, who)
		}
		handler.ServeHTTP(w, r.WithContext(ctx))
	}))
	server.Config.ErrorLog = log.New(t.Output(), "front: ", 0)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// do gets a URL without following redirects, and reads the answer.
func do(t testing.TB, url string) (status int, body string, header http.Header) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Transport{DisableKeepAlives: true}
	response, err := client.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content), response.Header
}

// dialRaw opens a connection on which the test writes what it likes.
func dialRaw(t testing.TB, server *httptest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func portText(port int32) string { return strconv.Itoa(int(port)) }

func portOf(t testing.TB, listener net.Listener) int32 {
	t.Helper()
	return backendtest.PortOf(t, listener.Addr())
}
