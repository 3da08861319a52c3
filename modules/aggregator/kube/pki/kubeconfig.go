package pki

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"
)

// kubeconfigLockTimeout bounds the wait for an Ensure, which takes milliseconds.
const kubeconfigLockTimeout = 5 * time.Second

// WriteKubeconfigs writes the kubeconfig of the administrator and the one for backends, both for the server at serverURL
// (https://host:port), with certificates embedded. A listen address that nobody can dial (0.0.0.0, ::) is written as loopback.
// Files that are already right are left alone; others are replaced atomically. It is safe for concurrent use, and blocks for
// file access and for as long as an Ensure on the same directory takes, 5 s at most.
func (m *Material) WriteKubeconfigs(serverURL string) error {
	server, err := dialable(serverURL)
	if err != nil {
		return err
	}
	// An Ensure would take the temporary files for leftovers.
	ctx, cancel := context.WithTimeout(context.Background(), kubeconfigLockTimeout)
	defer cancel()
	unlock, err := lockDir(ctx, m.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	for _, k := range []struct {
		path, user string
		pair       Pair
	}{{m.AdminKubeconfig, AdminUser, m.Admin}, {m.BackendKubeconfig, BackendUser, m.Backend}} {
		if _, err := writeIfChanged(k.path, kubeconfig(server, k.user, m.CAPEM, k.pair), privateMode); err != nil {
			return err
		}
	}
	return nil
}

func dialable(serverURL string) (string, error) {
	u, err := url.Parse(serverURL)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("server URL %q: must be https://host:port", serverURL)
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
		loopback := "127.0.0.1"
		if ip.To4() == nil {
			loopback = "::1"
		}
		port := u.Port()
		if port == "" {
			port = "443"
		}
		u.Host = net.JoinHostPort(loopback, port)
	}
	return u.String(), nil
}

// kubeconfig renders the file by hand: the format is stable, and this package needs nothing but the standard library.
func kubeconfig(server, user string, caPEM []byte, pair Pair) []byte {
	const cluster = "switchyard"
	name := user + "@" + cluster
	b64 := base64.StdEncoding.EncodeToString
	var out bytes.Buffer
	fmt.Fprintf(&out, `apiVersion: v1
kind: Config
clusters:
- name: %[1]s
  cluster:
    server: %[2]s
    certificate-authority-data: %[3]s
users:
- name: %[4]s
  user:
    client-certificate-data: %[5]s
    client-key-data: %[6]s
contexts:
- name: %[7]s
  context:
    cluster: %[1]s
    user: %[4]s
current-context: %[7]s
`, cluster, strconv.Quote(server), b64(caPEM), user, b64(pair.CertPEM), b64(pair.KeyPEM), strconv.Quote(name))
	return out.Bytes()
}
