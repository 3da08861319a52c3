package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/csv"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/detectviz/switchyard/modules/aggregator/kube/pki"
)

func ensure(t *testing.T, dir string, opts pki.Options) *pki.Material {
	t.Helper()
	m, err := pki.Ensure(t.Context(), dir, opts)
	if err != nil {
		t.Fatalf("ensure: %v", err)
	}
	return m
}

// contents maps the name of every file to what is in it.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(content)
	}
	return files
}

// changed lists the files that differ, sorted.
func changed(before, after map[string]string) []string {
	var names []string
	for name, content := range after {
		if before[name] != content {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func parse(t *testing.T, certPEM []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(certPEM)
	if block == nil {
		t.Fatal("no PEM block")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestFirstStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	m := ensure(t, dir, pki.Options{})
	if err := m.WriteKubeconfigs("https://127.0.0.1:6443"); err != nil {
		t.Fatalf("kubeconfigs: %v", err)
	}
	want := map[string]fs.FileMode{
		".lock":  0o600,
		"ca.crt": 0o644, "ca.key": 0o600, "client-ca.crt": 0o644,
		"front-proxy-ca.crt": 0o644, "front-proxy-ca.key": 0o600,
		"front-proxy-client.crt": 0o644, "front-proxy-client.key": 0o600,
		"serving.crt": 0o644, "serving.key": 0o600, "loopback.crt": 0o644, "loopback.key": 0o600,
		"admin.crt": 0o644, "admin.key": 0o600, "backend.crt": 0o644, "backend.key": 0o600,
		"admin.kubeconfig": 0o600, "backend.kubeconfig": 0o600, "tokens.csv": 0o600,
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		mode, ok := want[e.Name()]
		if !ok {
			t.Errorf("unexpected file %q", e.Name())
		} else if info.Mode().Perm() != mode {
			t.Errorf("mode of %q: got %#o, want %#o", e.Name(), info.Mode().Perm(), mode)
		}
		delete(want, e.Name())
	}
	for name := range want {
		t.Errorf("missing file %q", name)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: got %v, %v; want mode 0700", info, err)
	}
	files := contents(t, dir)
	if files["client-ca.crt"] != files["ca.crt"] || string(m.CAPEM) != files["ca.crt"] {
		t.Error("client-ca.crt, ca.crt and CAPEM differ")
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	now := time.Now()
	m := ensure(t, t.TempDir(), pki.Options{Hosts: []string{"192.0.2.7", "Example.org", "0.0.0.0", ""}, LoopbackName: "loop"})
	for _, tt := range []struct {
		name         string
		pair         pki.Pair
		ca           []byte
		cn           string
		organization []string
		usage        x509.ExtKeyUsage
		valid        []string // as a server
	}{
		{"serving", m.Serving, m.CAPEM, "aggregator", nil, x509.ExtKeyUsageServerAuth,
			[]string{"localhost", "127.0.0.1", "::1", "aggregator", "192.0.2.7", "example.org"}},
		{"loopback", m.Loopback, m.CAPEM, "loop", nil, x509.ExtKeyUsageServerAuth, []string{"loop"}},
		{"front-proxy-client", m.FrontProxyClient, m.FrontProxyCAPEM, "front-proxy-client", nil, x509.ExtKeyUsageClientAuth, nil},
		{"admin", m.Admin, m.CAPEM, "admin", []string{"system:masters"}, x509.ExtKeyUsageClientAuth, nil},
		{"backend", m.Backend, m.CAPEM, "backend", []string{"system:switchyard:backends"}, x509.ExtKeyUsageClientAuth, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := tls.X509KeyPair(tt.pair.CertPEM, tt.pair.KeyPEM); err != nil {
				t.Errorf("pair: %v", err)
			}
			cert := parse(t, tt.pair.CertPEM)
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(tt.ca)
			if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{tt.usage}}); err != nil {
				t.Errorf("verify: %v", err)
			}
			if cert.Subject.CommonName != tt.cn || !slices.Equal(cert.Subject.Organization, tt.organization) {
				t.Errorf("subject: got %v, want %q %q", cert.Subject, tt.cn, tt.organization)
			}
			if cert.PublicKeyAlgorithm != x509.ECDSA || !slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{tt.usage}) {
				t.Errorf("got %v for %v, want ECDSA for %v", cert.PublicKeyAlgorithm, cert.ExtKeyUsage, tt.usage)
			}
			for _, name := range tt.valid {
				if err := cert.VerifyHostname(name); err != nil {
					t.Errorf("host name: %v", err)
				}
			}
			if len(tt.valid) != len(cert.DNSNames)+len(cert.IPAddresses) {
				t.Errorf("names: got %v %v, want %v", cert.DNSNames, cert.IPAddresses, tt.valid)
			}
			if cert.NotBefore.After(now) || cert.NotAfter.Before(now.Add(364*24*time.Hour)) {
				t.Errorf("validity: got %v to %v, want about a year from a little ago", cert.NotBefore, cert.NotAfter)
			}
		})
	}
	ca := parse(t, m.CAPEM)
	if !ca.IsCA || ca.NotAfter.Before(now.Add(3649*24*time.Hour)) {
		t.Errorf("CA: got IsCA %t until %v, want a CA for 10 years", ca.IsCA, ca.NotAfter)
	}
	if ca.SerialNumber.Cmp(parse(t, m.FrontProxyCAPEM).SerialNumber) == 0 {
		t.Error("both CAs have the same serial number")
	}
}

func TestReuseIsByteIdentical(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := ensure(t, dir, pki.Options{Hosts: []string{"192.0.2.7"}})
	if err := first.WriteKubeconfigs("https://127.0.0.1:6443"); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	// A name less is no reason to issue again: the certificate is good for the others.
	second := ensure(t, dir, pki.Options{})
	if err := second.WriteKubeconfigs("https://127.0.0.1:6443"); err != nil {
		t.Fatal(err)
	}
	if got := changed(before, contents(t, dir)); len(got) != 0 || len(second.Issued) != 0 {
		t.Errorf("changed: got %v (reported %v), want none", got, second.Issued)
	}
}

func TestReissue(t *testing.T) {
	t.Parallel()
	write := func(name, content string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	swap := func(a, b string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			files := contents(t, dir)
			write(a, files[b])(t, dir)
		}
	}
	remove := func(names ...string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			for _, name := range names {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	later := func(d time.Duration) pki.Options {
		return pki.Options{Now: func() time.Time { return time.Now().Add(d) }}
	}
	const day = 24 * time.Hour
	leaves := []string{"admin.crt", "admin.key", "backend.crt", "backend.key", "front-proxy-client.crt", "front-proxy-client.key",
		"loopback.crt", "loopback.key", "serving.crt", "serving.key"}
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, dir string)
		opts   pki.Options
		want   []string
	}{
		{"expired", nil, later(400 * day), leaves},
		{"near their end", nil, later(340 * day), leaves},
		{"not near their end", nil, later(300 * day), nil},
		{"a clock that is a little behind", nil, later(-1 * time.Minute), nil},
		{"garbage certificate", write("serving.crt", "garbage"), pki.Options{}, []string{"serving.crt", "serving.key"}},
		{"garbage in a PEM block", write("admin.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), pki.Options{}, []string{"admin.crt", "admin.key"}},
		{"empty key", write("backend.key", ""), pki.Options{}, []string{"backend.crt", "backend.key"}},
		{"other key", swap("serving.key", "admin.key"), pki.Options{}, []string{"serving.crt", "serving.key"}},
		{"of the other CA", func(t *testing.T, dir string) {
			swap("admin.crt", "front-proxy-client.crt")(t, dir)
			swap("admin.key", "front-proxy-client.key")(t, dir)
		}, pki.Options{}, []string{"admin.crt", "admin.key"}},
		{"of another subject", func(t *testing.T, dir string) {
			swap("backend.crt", "admin.crt")(t, dir)
			swap("backend.key", "admin.key")(t, dir)
		}, pki.Options{}, []string{"backend.crt", "backend.key"}},
		{"a further name", nil, pki.Options{Hosts: []string{"192.0.2.9"}}, []string{"serving.crt", "serving.key"}},
		{"missing certificate", remove("loopback.crt"), pki.Options{}, []string{"loopback.crt", "loopback.key"}},
		{"client CA was changed", write("client-ca.crt", "other"), pki.Options{}, []string{"client-ca.crt"}},
		{"CA certificate was never written", remove("ca.crt"), pki.Options{}, []string{"ca.crt", "client-ca.crt"}},
		{"missing tokens", remove("tokens.csv"), pki.Options{}, []string{"tokens.csv"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ensure(t, dir, pki.Options{})
			if tt.change != nil {
				tt.change(t, dir)
			}
			before := contents(t, dir)
			m := ensure(t, dir, tt.opts)
			after := contents(t, dir)
			if got := changed(before, after); !slices.Equal(got, tt.want) {
				t.Errorf("changed: got %v, want %v", got, tt.want)
			}
			if got := slices.Sorted(slices.Values(m.Issued)); !slices.Equal(got, tt.want) {
				t.Errorf("issued: got %v, want %v", got, tt.want)
			}
			if got := ensure(t, dir, tt.opts).Issued; len(got) != 0 {
				t.Errorf("issued again: %v", got)
			}
		})
	}
}

func TestDamagedAuthority(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		file   string
		damage func(dir, path string) error
		opts   pki.Options
	}{
		{"garbage certificate", "ca.crt", func(_, path string) error { return os.WriteFile(path, []byte("x"), 0o600) }, pki.Options{}},
		{"empty certificate", "front-proxy-ca.crt", func(_, path string) error { return os.Truncate(path, 0) }, pki.Options{}},
		{"garbage key", "ca.key", func(_, path string) error { return os.WriteFile(path, []byte("x"), 0o600) }, pki.Options{}},
		{"missing key", "front-proxy-ca.key", func(_, path string) error { return os.Remove(path) }, pki.Options{}},
		{"directory", "ca.crt", func(_, path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, pki.Options{}},
		{"key of the other", "ca.crt", func(dir, path string) error {
			content, err := os.ReadFile(filepath.Join(dir, "front-proxy-ca.crt"))
			return errors.Join(err, os.WriteFile(path, content, 0o600))
		}, pki.Options{}},
		{"not a CA", "ca.crt", func(dir, path string) error {
			cert, err := os.ReadFile(filepath.Join(dir, "admin.crt"))
			return errors.Join(err, os.WriteFile(path, cert, 0o600))
		}, pki.Options{}},
		{"expired", "ca.crt", nil, pki.Options{Now: func() time.Time { return time.Now().Add(4000 * 24 * time.Hour) }}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ensure(t, dir, pki.Options{})
			path := filepath.Join(dir, tt.file)
			if tt.damage != nil {
				if err := tt.damage(dir, path); err != nil {
					t.Fatal(err)
				}
			}
			_, err := pki.Ensure(t.Context(), dir, tt.opts)
			if err == nil {
				t.Fatal("ensure succeeded, want an error")
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("error does not name %q: %v", path, err)
			}
			t.Log(err)
		})
	}
}

func TestLooseModesAreTightened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ensure(t, dir, pki.Options{})
	private := []string{"ca.key", "serving.key", "tokens.csv"}
	for _, name := range private {
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if issued := ensure(t, dir, pki.Options{}).Issued; len(issued) != 0 {
		t.Errorf("issued: got %v, want none", issued)
	}
	for _, name := range append(private, ".") {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("mode of %q: got %v, %v; want nothing for group and others", name, info.Mode(), err)
		}
	}
}

// Many first starts at once agree on one set of material, and leave no temporary file.
func TestConcurrentEnsure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var all sync.WaitGroup
	results := make([]*pki.Material, 16)
	for i := range results {
		all.Go(func() {
			m, err := pki.Ensure(t.Context(), dir, pki.Options{})
			if err != nil {
				t.Errorf("ensure: %v", err)
				return
			}
			if err := m.WriteKubeconfigs("https://127.0.0.1:6443"); err != nil {
				t.Errorf("kubeconfigs: %v", err)
			}
			results[i] = m
		})
	}
	all.Wait()
	makers := 0
	for _, m := range results {
		if m == nil {
			t.FailNow()
		}
		if string(m.CAPEM) != string(results[0].CAPEM) || string(m.Admin.KeyPEM) != string(results[0].Admin.KeyPEM) {
			t.Error("two calls returned different material")
		}
		if len(m.Issued) > 0 {
			makers++
		}
	}
	if makers != 1 {
		t.Errorf("calls that issued: got %d, want 1", makers)
	}
	for name := range contents(t, dir) {
		if strings.HasPrefix(name, ".tmp-") {
			t.Errorf("temporary file %q is left", name)
		}
	}
}

func TestLeftoversAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left := filepath.Join(dir, ".tmp-ca.key-123")
	if err := os.WriteFile(left, []byte("half a ke"), 0o600); err != nil {
		t.Fatal(err)
	}
	ensure(t, dir, pki.Options{})
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("leftover: got %v, want that it does not exist", err)
	}
}

func TestUnusableDirectory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "pki"), "/proc/self/pki"} {
		_, err := pki.Ensure(t.Context(), dir, pki.Options{})
		if err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%q: got %v, want an error that names it", dir, err)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	_, err := pki.Ensure(t.Context(), t.TempDir(), pki.Options{
		Hosts: []string{"127.0.0.1:6443", "*.example.org"}, CAValidity: -1, LeafValidity: time.Hour, RenewBefore: 2 * time.Hour,
	})
	for _, want := range []string{"hosts[0]", "hosts[1]", "CAValidity", "RenewBefore"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want all problems, %s among them", err, want)
		}
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	read := func(t *testing.T, path string) []string {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		records, err := csv.NewReader(strings.NewReader(string(content))).ReadAll()
		if err != nil || len(records) != 1 {
			t.Fatalf("tokens: got %d records, %v; want one", len(records), err)
		}
		return records[0]
	}
	a, b := read(t, ensure(t, t.TempDir(), pki.Options{}).TokensFile), read(t, ensure(t, t.TempDir(), pki.Options{}).TokensFile)
	if want := []string{"admin", "admin", "system:masters"}; !slices.Equal(a[1:], want) {
		t.Errorf("got %v, want %v after the token", a[1:], want)
	}
	if len(a[0]) != 64 || a[0] == b[0] {
		t.Errorf("tokens have %d digits, equal: %t; want 64, different", len(a[0]), a[0] == b[0])
	}

	for _, tt := range []struct {
		name, content string
		ok            bool
	}{
		{"own tokens", "secret,user,1,\"group1,group2\"\nsecret2,user2,2\n", true},
		{"none", "", true},
		{"too few columns", "secret,user,1\nsecret,user\n", false},
		{"empty token", ",user,1\n", false},
		{"bad quoting", "\"secret,user,1\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "tokens.csv")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := pki.Ensure(t.Context(), dir, pki.Options{})
			if (err == nil) != tt.ok {
				t.Errorf("got %v, want ok %t", err, tt.ok)
			}
			if err != nil && (!strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "secret")) {
				t.Errorf("error must name the file and no token: %v", err)
			}
			if content, err := os.ReadFile(path); err != nil || string(content) != tt.content {
				t.Errorf("content: got %q, %v; want it unchanged", content, err)
			}
		})
	}
}
