package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// authority is a CA that can sign.
type authority struct {
	cert    *x509.Certificate
	certPEM []byte
	key     crypto.Signer
}

// ensureCA reads the CA called name, or makes it when neither its certificate nor its key exists.
func (b *builder) ensureCA(name, commonName string) (*authority, error) {
	certFile, keyFile := b.path(name+".crt"), b.path(name+".key")
	certPEM, certErr := os.ReadFile(certFile)
	keyPEM, keyErr := os.ReadFile(keyFile)
	certMissing, keyMissing := errors.Is(certErr, fs.ErrNotExist), errors.Is(keyErr, fs.ErrNotExist)
	switch {
	case certMissing && keyMissing:
		return b.createCA(name, commonName)
	case certMissing && keyErr == nil:
		// The first start ended between the two files. The same key under the same name is the same authority.
		key, err := parseKey(keyPEM)
		if err != nil {
			return nil, caError(b.dir, keyFile, err)
		}
		return b.selfSign(name, commonName, key)
	case certErr != nil:
		return nil, caError(b.dir, certFile, certErr)
	case keyErr != nil:
		return nil, caError(b.dir, keyFile, keyErr)
	}

	cert, err := parseCert(certPEM)
	if err != nil {
		return nil, caError(b.dir, certFile, err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, caError(b.dir, keyFile, err)
	}
	if err := checkCA(cert, key, b.now); err != nil {
		return nil, caError(b.dir, certFile, err)
	}
	if err := restrict(keyFile, privateMode); err != nil {
		return nil, err
	}
	return &authority{cert: cert, certPEM: certPEM, key: key}, nil
}

func checkCA(cert *x509.Certificate, key crypto.Signer, now time.Time) error {
	switch {
	case !cert.IsCA || !cert.BasicConstraintsValid:
		return errors.New("not a CA certificate")
	case cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("its key usage does not allow to sign certificates")
	case !sameKey(cert.PublicKey, key.Public()):
		return errors.New("does not match its private key")
	case now.After(cert.NotAfter):
		return fmt.Errorf("expired on %s", cert.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(cert.NotBefore):
		return fmt.Errorf("not valid before %s; this machine's clock says %s", cert.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// caError says what is wrong with a CA file, and what the operator can do: never is it replaced without being asked.
func caError(dir, path string, err error) error {
	return fmt.Errorf("certificate authority file %q cannot be used: %w: restore the file from a backup, or move the directory %q "+
		"away to have new certificates made (every client and backend must then trust the new authority)", path, err, dir)
}

func (b *builder) createCA(name, commonName string) (*authority, error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("make key of %q: %w", commonName, err)
	}
	// Key first: a certificate without its key could never be completed.
	if err := b.store(name+".key", keyPEM, privateMode); err != nil {
		return nil, err
	}
	return b.selfSign(name, commonName, key)
}

func (b *builder) selfSign(name, commonName string, key crypto.Signer) (*authority, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, fmt.Errorf("make certificate of %q: %w", commonName, err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: commonName},
		NotBefore:             b.now.Add(-b.opts.Backdate),
		NotAfter:              b.now.Add(b.opts.CAValidity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make certificate of %q: %w", commonName, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make certificate of %q: %w", commonName, err)
	}
	certPEM := encodeCert(der)
	if err := b.store(name+".crt", certPEM, publicMode); err != nil {
		return nil, err
	}
	return &authority{cert: cert, certPEM: certPEM, key: key}, nil
}
