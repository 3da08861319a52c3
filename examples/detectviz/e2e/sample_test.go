package e2e_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/detectviz/switchyard/internal/testbin"
	"github.com/detectviz/switchyard/modules/aggregator/kube/store"
)

// tlsName is the only name in the sample server's certificate: not its address, and not <service>.<namespace>.svc.
const tlsName = "wardle.example.com"

// sampleServer is an unmodified k8s.io/sample-apiserver with an etcd of its own. It trusts the aggregator in dataDir and
// asks it who its callers are.
type sampleServer struct {
	port int
	ca   string // PEM
}

func startSampleServer(t *testing.T, dataDir string) *sampleServer {
	t.Helper()
	binary := testbin.SampleAPIServer(t)
	etcd, err := store.Start(t.Context(), store.Settings{Dir: t.TempDir()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := etcd.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	s := &sampleServer{port: freePort(t), ca: selfSigned(t, dir, tlsName)}
	kubeconfig := filepath.Join(dataDir, "aggregator", "backend.kubeconfig")
	log := &lockedBuffer{}
	command := exec.CommandContext(context.Background(), binary,
		"--etcd-servers="+etcd.Endpoint(),
		"--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(s.port),
		"--tls-cert-file="+filepath.Join(dir, "tls.crt"), "--tls-private-key-file="+filepath.Join(dir, "tls.key"),
		"--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("output of sample-apiserver:\n%.20000s", log)
		}
	})
	return s
}

// registration is what a user applies to put the sample server behind the aggregator.
func (s *sampleServer) registration() string {
	return fmt.Sprintf(`
apiVersion: service.switchyard.detectviz.io/v1alpha1
kind: ExternalName
metadata: { name: wardle, namespace: default }
spec: { host: 127.0.0.1, tlsServerName: %s }
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: { name: v1alpha1.wardle.example.com }
spec:
  group: wardle.example.com
  version: v1alpha1
  groupPriorityMinimum: 1000
  versionPriority: 15
  service: { namespace: default, name: wardle, port: %d }
  caBundle: %s
`, tlsName, s.port, base64.StdEncoding.EncodeToString([]byte(s.ca)))
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// selfSigned writes tls.crt and tls.key for one DNS name and returns the certificate.
func selfSigned(t *testing.T, dir, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for file, content := range map[string][]byte{
		"tls.crt": certificate,
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return string(certificate)
}

// kubectl is a stock kubectl with a home of its own.
type kubectl struct {
	t          *testing.T
	binary     string
	home       string
	kubeconfig string
}

func newKubectl(t *testing.T, kubeconfig string) *kubectl {
	t.Helper()
	return &kubectl{t: t, binary: testbin.Kubectl(t), home: t.TempDir(), kubeconfig: kubeconfig}
}

func (k *kubectl) command(stdin string, args ...string) *exec.Cmd {
	c := exec.CommandContext(k.t.Context(), k.binary, args...)
	c.Env = []string{"HOME=" + k.home, "KUBECONFIG=" + k.kubeconfig, "PATH=" + os.Getenv("PATH")}
	c.Stdin = strings.NewReader(stdin)
	return c
}

// try runs kubectl and returns what it printed.
func (k *kubectl) try(stdin string, args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	c := k.command(stdin, args...)
	c.Stdout, c.Stderr = &out, &errs
	err = c.Run()
	return out.String(), errs.String(), err
}

// run runs kubectl, which must succeed.
func (k *kubectl) run(stdin string, args ...string) string {
	k.t.Helper()
	out, errs, err := k.try(stdin, args...)
	if err != nil {
		k.t.Fatalf("kubectl %s: %v\n%s%s", strings.Join(args, " "), err, out, errs)
	}
	return out
}

// expect runs kubectl, which must succeed and print all of want.
func (k *kubectl) expect(stdin string, args []string, want ...string) {
	k.t.Helper()
	out := k.run(stdin, args...)
	for _, w := range want {
		if !strings.Contains(out, w) {
			k.t.Errorf("kubectl %s printed\n%s\nwhich does not contain %q", strings.Join(args, " "), out, w)
		}
	}
}
