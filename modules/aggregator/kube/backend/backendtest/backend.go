package backendtest

import (
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// Backend is an API server's outside: TLS with a certificate, and a client certificate of the front-proxy authority demanded.
type Backend struct {
	Port int32
	hits atomic.Int64
}

// Options say what a Backend is like.
type Options struct {
	Serving    *Authority // signs its certificate
	Names      []string   // in its certificate
	FrontProxy *Authority // demanded of clients; nil: none is demanded
	HTTP1      bool       // HTTP/2 is not offered
}

// Serve starts a Backend on a free port of 127.0.0.1. It ends with the test.
func Serve(t testing.TB, o Options, handler http.HandlerFunc) *Backend {
	t.Helper()
	b := &Backend{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.hits.Add(1)
		handler(w, r)
	}))
	server.EnableHTTP2 = !o.HTTP1
	server.Config.ErrorLog = log.New(t.Output(), "backend: ", 0)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{o.Serving.Pair(t, o.Names...)}}
	if o.FrontProxy != nil {
		server.TLS.ClientAuth, server.TLS.ClientCAs = tls.RequireAndVerifyClientCert, o.FrontProxy.Pool
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	b.Port = PortOf(t, server.Listener.Addr())
	return b
}

// Hits returns how many requests arrived.
func (b *Backend) Hits() int64 { return b.hits.Load() }

// Hanging listens on a free port of 127.0.0.1 and accepts connections, on which it never says a word.
func Hanging(t testing.TB) (port int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		var conns []net.Conn
		for {
			conn, err := listener.Accept()
			if err != nil {
				break
			}
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-accepted
	})
	return PortOf(t, listener.Addr())
}

// PortOf returns the port of an address.
func PortOf(t testing.TB, address net.Addr) int32 {
	t.Helper()
	_, text, err := net.SplitHostPort(address.String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return int32(port)
}

// APIService returns an available APIService <version>.<group> that refers to the ExternalName default/<name>.
func APIService(group, version, name string, port int32, caBundle []byte) *apiregistration.APIService {
	s := &apiregistration.APIService{
		Spec: apiregistration.APIServiceSpec{
			Group: group, Version: version, CABundle: caBundle, GroupPriorityMinimum: 1000, VersionPriority: 10,
			Service: &apiregistration.ServiceReference{Namespace: "default", Name: name, Port: &port},
		},
		Status: apiregistration.APIServiceStatus{Conditions: []apiregistration.APIServiceCondition{
			{Type: apiregistration.Available, Status: apiregistration.ConditionTrue},
		}},
	}
	s.Name = version + "." + group
	return s
}
