package backend

import (
	"log/slog"
	"sync"
	"time"
)

// TransportSettings say how backends are talked to. Zero durations mean the default.
type TransportSettings struct {
	// CertFile and KeyFile hold our front-proxy client certificate in PEM. They are read again when they change.
	CertFile, KeyFile string
	// CertInterval is how long a change of the files may go unseen while there are requests or checks. Default 1s.
	CertInterval time.Duration
	// ReadIdleTimeout is how long an HTTP/2 connection with requests may be silent before it is pinged. Default 5s.
	ReadIdleTimeout time.Duration
	// PingTimeout is how long a ping may stay unanswered before the connection is closed. Default 3s.
	PingTimeout time.Duration
	// HandshakeTimeout bounds a TLS handshake. Default 5s.
	HandshakeTimeout time.Duration
	// IdleTimeout is how long a connection is kept without requests. Default 90s.
	IdleTimeout time.Duration
}

func (s TransportSettings) withDefaults() TransportSettings {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&s.CertInterval, time.Second},
		{&s.ReadIdleTimeout, 5 * time.Second},
		{&s.PingTimeout, 3 * time.Second},
		{&s.HandshakeTimeout, 5 * time.Second},
		{&s.IdleTimeout, 90 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	return s
}

// Transports keeps one set of connections per TLS identity. HTTP proxies from the environment are not used. It is safe for
// concurrent use.
type Transports struct {
	dialer   *Dialer
	cert     *certificate
	settings TransportSettings
	buffers  buffers

	mu     sync.Mutex
	all    map[identityKey]*connections // nil once closed
	unused int                          // how many of them have no shares
}

// NewTransports reads the client certificate and returns Transports without connections, which will be opened with the
// dialer. Close closes the dialer as well.
func NewTransports(d *Dialer, s TransportSettings, log *slog.Logger) (*Transports, error) {
	s = s.withDefaults()
	cert, err := loadCertificate(s.CertFile, s.KeyFile, s.CertInterval, log)
	if err != nil {
		return nil, err
	}
	return &Transports{dialer: d, cert: cert, settings: s, all: map[identityKey]*connections{}}, nil
}

// Acquire returns a Transport for the identity. Whoever calls it calls Release. It does not block on a backend. The error is a
// *CABundleError or ErrClosed.
func (t *Transports) Acquire(id Identity) (*Transport, error) {
	t.cert.refresh()
	key := id.key(t.cert.generation.Load())
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		return nil, ErrClosed
	}
	c, ok := t.all[key]
	switch {
	case !ok:
		t.sweep()
		var err error
		if c, err = newConnections(key, id, t.dialer, t.cert, t.settings); err != nil {
			return nil, err
		}
		t.all[key] = c
	case c.shares == 0:
		t.unused--
	}
	c.shares++
	return &Transport{connections: c, pool: t}, nil
}

// stale reports whether a transport was made with a client certificate that has been replaced since.
func (t *Transports) stale(of *Transport) bool { return of.generation != t.cert.generation.Load() }

func (t *Transports) release(c *connections) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.shares--
	if c.shares > 0 {
		return
	}
	c.unused = time.Now()
	t.unused++
	t.sweep()
}

// sweep forgets connections that nobody has had a share in for as long as an idle connection is kept. The lock is held.
func (t *Transports) sweep() {
	if t.unused == 0 {
		return
	}
	before := time.Now().Add(-t.settings.IdleTimeout)
	for key, c := range t.all {
		if c.shares == 0 && c.unused.Before(before) {
			c.CloseIdleConnections()
			delete(t.all, key)
			t.unused--
		}
	}
}

// Close closes all connections, those with requests included, and refuses new ones. It does not block.
func (t *Transports) Close() {
	t.mu.Lock()
	all := t.all
	t.all = nil
	t.mu.Unlock()
	for _, c := range all {
		c.CloseIdleConnections()
	}
	t.dialer.Close()
}
