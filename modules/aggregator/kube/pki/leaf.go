package pki

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"time"
)

// leafSpec is what a certificate must be.
type leafSpec struct {
	name         string // of its files, without suffix
	commonName   string
	organization string // the group, for authentication
	dns          []string
	ips          []net.IP
	server       bool // authenticates a server; otherwise a client
}

func (s leafSpec) usage() x509.ExtKeyUsage {
	if s.server {
		return x509.ExtKeyUsageServerAuth
	}
	return x509.ExtKeyUsageClientAuth
}

// ensureLeaf reads the pair that spec names, or issues it when it is missing or no longer good.
func (b *builder) ensureLeaf(by *authority, spec leafSpec) (Pair, error) {
	p := Pair{CertFile: b.path(spec.name + ".crt"), KeyFile: b.path(spec.name + ".key")}
	var err error
	if p.CertPEM, err = readOptional(p.CertFile); err != nil {
		return Pair{}, err
	}
	if p.KeyPEM, err = readOptional(p.KeyFile); err != nil {
		return Pair{}, err
	}
	if b.checkLeaf(by, spec, p) == nil {
		return p, restrict(p.KeyFile, privateMode)
	}
	if p.CertPEM, p.KeyPEM, err = b.issue(by, spec); err != nil {
		return Pair{}, fmt.Errorf("issue certificate %q: %w", p.CertFile, err)
	}
	if err := b.store(spec.name+".key", p.KeyPEM, privateMode); err != nil {
		return Pair{}, err
	}
	// A crash here leaves a key that does not match its certificate: the next Ensure issues both again.
	return p, b.store(spec.name+".crt", p.CertPEM, publicMode)
}

// checkLeaf returns why a pair has to be issued again, or nil.
func (b *builder) checkLeaf(by *authority, spec leafSpec, p Pair) error {
	cert, err := parseCert(p.CertPEM)
	if err != nil {
		return err
	}
	key, err := parseKey(p.KeyPEM)
	if err != nil {
		return err
	}
	if !sameKey(cert.PublicKey, key.Public()) {
		return errors.New("key does not match")
	}
	roots := x509.NewCertPool()
	roots.AddCert(by.cert)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: b.now, KeyUsages: []x509.ExtKeyUsage{spec.usage()}}); err != nil {
		return err
	}
	// A CA that itself ends soon can't give a longer life: renewing would change nothing.
	if cert.NotAfter.Before(b.now.Add(b.opts.RenewBefore)) && cert.NotAfter.Before(by.cert.NotAfter) {
		return errors.New("ends soon")
	}
	if cert.Subject.CommonName != spec.commonName || !slices.Equal(cert.Subject.Organization, spec.organizations()) {
		return errors.New("other subject")
	}
	for _, name := range spec.dns {
		if !slices.Contains(cert.DNSNames, name) {
			return fmt.Errorf("lacks DNS name %q", name)
		}
	}
	for _, ip := range spec.ips {
		if !slices.ContainsFunc(cert.IPAddresses, ip.Equal) {
			return fmt.Errorf("lacks address %q", ip)
		}
	}
	return nil
}

func (s leafSpec) organizations() []string {
	if s.organization == "" {
		return nil
	}
	return []string{s.organization}
}

func (b *builder) issue(by *authority, spec leafSpec) (certPEM, keyPEM []byte, err error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: spec.commonName, Organization: spec.organizations()},
		NotBefore:             latest(b.now.Add(-b.opts.Backdate), by.cert.NotBefore),
		NotAfter:              earliest(b.now.Add(b.opts.LeafValidity), by.cert.NotAfter),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{spec.usage()},
		BasicConstraintsValid: true,
		DNSNames:              spec.dns,
		IPAddresses:           spec.ips,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		return nil, nil, err
	}
	return encodeCert(der), keyPEM, nil
}

// readOptional returns nil for a file that does not exist.
func readOptional(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("certificate file cannot be read: %w: make it readable, or move it away to have it issued again", err)
	}
	return content, nil
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
