package pki

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Names in the certificates that authentication and authorization rely on.
const (
	AdminUser            = "admin"
	AdminGroup           = "system:masters"
	BackendUser          = "backend"
	BackendGroup         = "system:switchyard:backends" // whoever holds it may ask for token and access reviews
	FrontProxyClientName = "front-proxy-client"         // the only name that backends may accept identity headers from
)

// Pair is a certificate with its private key, in PEM, and where both are on disk.
type Pair struct {
	CertPEM, KeyPEM   []byte
	CertFile, KeyFile string
}

// Material is what Ensure found or made. It is a value to read: nothing in it changes after Ensure returned, and its methods
// are safe for concurrent use.
type Material struct {
	Dir string // absolute

	CAFile, ClientCAFile, FrontProxyCAFile string
	CAPEM                                  []byte // signs serving, loopback, admin and backend certificates
	FrontProxyCAPEM                        []byte // signs the front-proxy client certificate only

	Serving, Loopback, FrontProxyClient, Admin, Backend Pair

	TokensFile        string // tokens.csv
	AdminKubeconfig   string // path; exists after WriteKubeconfigs
	BackendKubeconfig string // path; exists after WriteKubeconfigs

	// Issued names the files that this call of Ensure made, in the order in which it did; empty when all was reused.
	Issued []string
}

// Ensure makes dir hold complete and valid material, and returns it. What is there and valid is used as it is, byte for byte.
//
// It blocks for file access, and for another Ensure on the same directory, in this process or another, until ctx ends. It is
// safe for concurrent use. An error names the file and, for a CA that can't be used, what to do about it.
func Ensure(ctx context.Context, dir string, opts Options) (*Material, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, fmt.Errorf("pki options: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("pki directory: %w", err)
	}
	if err := privateDir(dir); err != nil {
		return nil, err
	}
	unlock, err := lockDir(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeLeftovers(dir); err != nil {
		return nil, err
	}
	b := &builder{dir: dir, opts: opts, now: opts.Now()}
	return b.build()
}

// builder carries one Ensure through its steps.
type builder struct {
	dir    string
	opts   Options
	now    time.Time
	issued []string
}

func (b *builder) path(name string) string { return filepath.Join(b.dir, name) }

func (b *builder) build() (*Material, error) {
	ca, err := b.ensureCA("ca", "switchyard-ca")
	if err != nil {
		return nil, err
	}
	frontProxyCA, err := b.ensureCA("front-proxy-ca", "switchyard-front-proxy-ca")
	if err != nil {
		return nil, err
	}
	m := &Material{
		Dir:               b.dir,
		CAFile:            b.path("ca.crt"),
		ClientCAFile:      b.path("client-ca.crt"),
		FrontProxyCAFile:  b.path("front-proxy-ca.crt"),
		CAPEM:             ca.certPEM,
		FrontProxyCAPEM:   frontProxyCA.certPEM,
		TokensFile:        b.path("tokens.csv"),
		AdminKubeconfig:   b.path("admin.kubeconfig"),
		BackendKubeconfig: b.path("backend.kubeconfig"),
	}
	if err := b.ensureCopy("client-ca.crt", ca.certPEM); err != nil {
		return nil, err
	}
	dns, ips := b.opts.servingNames()
	for _, leaf := range []struct {
		into *Pair
		by   *authority
		want leafSpec
	}{
		{&m.Serving, ca, leafSpec{name: "serving", commonName: "aggregator", dns: dns, ips: ips, server: true}},
		{&m.Loopback, ca, leafSpec{name: "loopback", commonName: b.opts.LoopbackName, dns: []string{b.opts.LoopbackName}, server: true}},
		{&m.FrontProxyClient, frontProxyCA, leafSpec{name: "front-proxy-client", commonName: FrontProxyClientName}},
		{&m.Admin, ca, leafSpec{name: "admin", commonName: AdminUser, organization: AdminGroup}},
		{&m.Backend, ca, leafSpec{name: "backend", commonName: BackendUser, organization: BackendGroup}},
	} {
		if *leaf.into, err = b.ensureLeaf(leaf.by, leaf.want); err != nil {
			return nil, err
		}
	}
	if err := b.ensureTokens(); err != nil {
		return nil, err
	}
	m.Issued = b.issued
	return m, nil
}

// ensureCopy keeps a public file equal to content.
func (b *builder) ensureCopy(name string, content []byte) error {
	written, err := writeIfChanged(b.path(name), content, publicMode)
	if written {
		b.issued = append(b.issued, name)
	}
	return err
}

// store writes one new file and records that it did.
func (b *builder) store(name string, content []byte, mode os.FileMode) error {
	if err := writeAtomic(b.path(name), content, mode); err != nil {
		return err
	}
	b.issued = append(b.issued, name)
	return nil
}
