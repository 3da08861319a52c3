package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/detectviz/switchyard/modules/aggregator/kube/pki"
)

// TestHandshakes uses the material for what it is made for: real servers and clients. Each server counts what it lets in.
func TestHandshakes(t *testing.T) {
	t.Parallel()
	m := ensure(t, t.TempDir(), pki.Options{})
	pair := func(p pki.Pair) tls.Certificate {
		c, err := tls.X509KeyPair(p.CertPEM, p.KeyPEM)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	pool := func(pem []byte) *x509.CertPool {
		p := x509.NewCertPool()
		p.AppendCertsFromPEM(pem)
		return p
	}
	for _, tt := range []struct {
		name      string
		serving   pki.Pair
		clientCA  []byte
		client    pki.Pair
		dialled   string
		wantUser  string // empty: the handshake must fail
		wantGroup string
	}{
		{"admin", m.Serving, m.CAPEM, m.Admin, "127.0.0.1", "admin", "system:masters"},
		{"backend", m.Serving, m.CAPEM, m.Backend, "localhost", "backend", "system:switchyard:backends"},
		{"loopback", m.Loopback, m.CAPEM, m.Admin, "apiserver-loopback-client", "admin", "system:masters"},
		{"proxy to a backend", m.Serving, m.FrontProxyCAPEM, m.FrontProxyClient, "aggregator", "front-proxy-client", ""},
		{"other name", m.Serving, m.CAPEM, m.Admin, "example.org", "", ""},
		{"an administrator is no proxy", m.Serving, m.FrontProxyCAPEM, m.Admin, "127.0.0.1", "", ""},
		{"the proxy is no user", m.Serving, m.CAPEM, m.FrontProxyClient, "127.0.0.1", "", ""},
		{"a server's certificate is no client's", m.Serving, m.CAPEM, m.Serving, "127.0.0.1", "", ""},
		{"a client's certificate is no server's", m.Admin, m.CAPEM, m.Admin, "127.0.0.1", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hits := 0
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				hits++
				subject := r.TLS.PeerCertificates[0].Subject
				_, _ = io.WriteString(w, subject.CommonName)
				for _, o := range subject.Organization {
					_, _ = io.WriteString(w, " "+o)
				}
			}))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.TLS = &tls.Config{Certificates: []tls.Certificate{pair(tt.serving)}, ClientCAs: pool(tt.clientCA),
				ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
			server.StartTLS()
			defer server.Close()
			transport := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair(tt.client)},
				RootCAs: pool(m.CAPEM), ServerName: tt.dialled, MinVersion: tls.VersionTLS12}}
			defer transport.CloseIdleConnections()
			response, err := (&http.Client{Transport: transport}).Get(server.URL)
			if tt.wantUser == "" {
				if err == nil {
					_ = response.Body.Close()
					t.Error("request succeeded, want a failed handshake")
				}
				if hits != 0 {
					t.Errorf("requests let in: got %d, want 0", hits)
				}
				return
			}
			if err != nil {
				t.Fatalf("request: %v", err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			want := tt.wantUser
			if tt.wantGroup != "" {
				want += " " + tt.wantGroup
			}
			if err != nil || string(body) != want {
				t.Errorf("identity: got %q, %v; want %q", body, err, want)
			}
		})
	}
}
