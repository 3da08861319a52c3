package backend

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"sync/atomic"
	"time"

	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// Identity is what a TLS connection to a backend verifies.
type Identity struct {
	ServerName string // the name that the certificate must carry
	CABundle   []byte // PEM; empty: the roots of the system
	Insecure   bool   // nothing is verified
}

// IdentityOf returns the identity of the backend of an APIService at an endpoint.
func IdentityOf(service *apiregistration.APIService, at Endpoint) Identity {
	return Identity{ServerName: at.ServerName, CABundle: service.Spec.CABundle, Insecure: service.Spec.InsecureSkipTLSVerify}
}

// identityKey tells identities apart.
type identityKey struct {
	serverName string
	insecure   bool
	ca         [sha256.Size]byte
	generation uint64 // of our own certificate
}

func (i Identity) key(generation uint64) identityKey {
	return identityKey{
		serverName: i.ServerName,
		insecure:   i.Insecure,
		ca:         sha256.Sum256(i.CABundle),
		generation: generation,
	}
}

// Transport sends requests to backends of one identity. It is a share of connections that others with the same identity use,
// too. HTTP/2 is used if the backend speaks it, HTTP/1.1 otherwise and for upgrades. It is safe for concurrent use.
type Transport struct {
	*connections
	pool     *Transports
	released atomic.Bool
}

var _ http.RoundTripper = (*Transport)(nil)

// Release gives the share back; the connections are closed when all shares are and some time has passed. Requests in flight
// are not disturbed, and later ones work, on connections that end sooner. It may be called more than once.
func (t *Transport) Release() {
	if t.released.CompareAndSwap(false, true) {
		t.pool.release(t.connections)
	}
}

// connections are the connections to backends of one identity.
type connections struct {
	key                 identityKey
	generation          uint64
	multiplexed, single *http.Transport

	shares int       // guarded by the pool's lock, as is unused
	unused time.Time // since when there are no shares
}

func newConnections(key identityKey, id Identity, d *Dialer, cert *certificate, s TransportSettings) (*connections, error) {
	config := &tls.Config{
		ServerName:           id.ServerName,
		InsecureSkipVerify:   id.Insecure, //nolint:gosec // The APIService asks for it.
		GetClientCertificate: cert.get,
		MinVersion:           tls.VersionTLS12,
	}
	if len(id.CABundle) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(id.CABundle) {
			return nil, &CABundleError{Size: len(id.CABundle)}
		}
	}
	base := func(protocols *http.Protocols) *http.Transport {
		return &http.Transport{
			DialContext:            d.DialContext,
			TLSClientConfig:        config.Clone(),
			TLSHandshakeTimeout:    s.HandshakeTimeout,
			IdleConnTimeout:        s.IdleTimeout,
			MaxIdleConnsPerHost:    64,
			MaxResponseHeaderBytes: 1 << 20,
			DisableCompression:     true, // what the client accepts is passed on
			Protocols:              protocols,
			HTTP2: &http.HTTP2Config{
				SendPingTimeout: s.ReadIdleTimeout,
				PingTimeout:     s.PingTimeout,
			},
		}
	}
	var both, one http.Protocols
	both.SetHTTP1(true)
	both.SetHTTP2(true)
	one.SetHTTP1(true)
	return &connections{key: key, generation: key.generation, multiplexed: base(&both), single: base(&one)}, nil
}

// RoundTrip sends a request, an upgrade on a connection of its own.
func (c *connections) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Upgrade") != "" {
		return c.single.RoundTrip(r)
	}
	return c.multiplexed.RoundTrip(r)
}

// CloseIdleConnections closes the connections that no request is on.
func (c *connections) CloseIdleConnections() {
	c.multiplexed.CloseIdleConnections()
	c.single.CloseIdleConnections()
}
