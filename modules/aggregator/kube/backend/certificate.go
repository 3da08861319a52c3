package backend

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// certificate is our client certificate, read again from its files when they change. A pair that is not usable, such as one
// that is half written, does not replace one that is.
type certificate struct {
	certFile, keyFile string
	interval          time.Duration // at most one look at the files per interval
	log               *slog.Logger

	current    atomic.Pointer[tls.Certificate]
	generation atomic.Uint64 // counts the pairs that were loaded

	mu        sync.Mutex // held by refresh
	looked    time.Time
	cert, key []byte // as last seen
}

func loadCertificate(certFile, keyFile string, interval time.Duration, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, interval: interval, log: log}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("front-proxy client certificate: %w", err)
	}
	c.looked = time.Now()
	return c, nil
}

// get serves tls.Config.GetClientCertificate.
func (c *certificate) get(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	c.refresh()
	return c.current.Load(), nil
}

// refresh looks at the files, unless somebody did so a moment ago or does so now.
func (c *certificate) refresh() {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if time.Since(c.looked) < c.interval {
		return
	}
	c.looked = time.Now()
	if err := c.load(); err != nil {
		c.log.Warn("the front-proxy client certificate on disk is not usable; the one before is kept", "error", err)
	}
}

// load reads the files and takes the pair if it is new. A bad pair is reported once, not at every look.
func (c *certificate) load() error {
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return err
	}
	if bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return nil
	}
	c.cert, c.key = cert, key
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("%q and %q: %w", c.certFile, c.keyFile, err)
	}
	c.current.Store(&pair)
	c.generation.Add(1)
	return nil
}
